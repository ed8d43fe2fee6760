import { type OutboxEvent } from '@millrace/events';

/** How the records of a route are made of its events: made once per route, asked once per event. */
export class RecordShape {
  /** What the sink orders by: records with the same key keep the order of their events. */
  keyOf(event: OutboxEvent): Buffer {
    return Buffer.from(event.aggregateId);
  }
}
