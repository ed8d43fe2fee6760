import { type SlotStateName } from './capture-port.js';

/** A route reads from another place than before, or something is new about its slot. */
export interface CaptureChange {
  readonly source: string;
  readonly route: string;
  readonly reading: 'table' | 'stream';
  /** `null` while no slot is wanted. */
  readonly slot: SlotStateName | null;
  /** For an operator: what it means, what the relay does, what a person has to do, if anything. */
  readonly message: string;
  /** Worth a warning: the stream was lost, or something stands in the way of a slot. */
  readonly isWarning: boolean;
}

/** What a source tells while it works: for the log. Called synchronously: be quick, do not throw. */
export interface CaptureObserver {
  captureChanged?(change: CaptureChange): void;
}
