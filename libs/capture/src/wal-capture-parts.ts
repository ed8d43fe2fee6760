import { type CaptureChange } from './capture-observer.js';
import { type CaptureMode } from './capture-port.js';
import { type HandOverParts } from './hand-over.js';
import { type PollingCaptureParts } from './polling-capture.js';
import { type SlotKeeper } from './slot/slot-keeper.js';
import { type SlotKeeperState } from './slot/slot-keeper-state.js';
import { type SlotLimitOptions } from './slot/slot-limit.js';

/** What the capture uses of the keeper of its slot. */
export type CaptureKeeper = HandOverParts['keeper'] & Pick<SlotKeeper, 'letGo' | 'stop' | 'close' | 'emitHeartbeat'>;

/** What a claim hands to its capture. */
export interface WalCaptureParts extends PollingCaptureParts, Pick<HandOverParts, 'readFence' | 'openStream'> {
  /** As configured. */
  readonly mode: CaptureMode;
  /** As an operator has set it; `null`: as configured. */
  readonly modeSet: CaptureMode | null;
  /** Makes the keeper of the route's slot, which touches no server before it is told to. */
  readonly keeperOf: (onState: (state: SlotKeeperState) => void) => CaptureKeeper;
  readonly slotLimit?: SlotLimitOptions;
  /** Told of each change worth a line in a log. */
  readonly changed: (change: Omit<CaptureChange, 'source' | 'route'>) => void;
}
