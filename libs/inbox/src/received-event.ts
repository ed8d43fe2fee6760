import { type EventContract, type EventId, type PayloadOf, type Position } from '@millrace/events';

/** An event as a handler is given it: checked against its contract, lifted to the contract's version. */
export interface ReceivedEvent<Contract extends EventContract = EventContract> {
  /** The event's identity; the inbox has claimed it in the handler's transaction. */
  readonly id: EventId;
  readonly type: Contract['type'];
  /** The version that the producer wrote, before any upcast. */
  readonly schemaVersion: number;
  /** The aggregate's id: the record's key, unless the route that published it has another key. */
  readonly aggregateId: string;
  /** Decimal text of the aggregate's version, where the producer has one. */
  readonly aggregateVersion: string | null;
  /** The relay's name for the producer's database. */
  readonly source: string;
  readonly position: Position;
  /** When the record was stamped on its way to the broker, milliseconds since 1970. */
  readonly sentAtMs: number;
  /** The producer's own headers, and those that the route adds, as text; Millrace's are left out. */
  readonly headers: Readonly<Record<string, string>>;
  /** Exactly what the contract describes; fields it does not know are gone. */
  readonly payload: PayloadOf<Contract>;
  /** True when somebody had the event published again on purpose. */
  readonly isReplay: boolean;
}
