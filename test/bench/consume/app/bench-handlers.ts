import { setTimeout as sleep } from 'node:timers/promises';
import { defineEvent } from '@millrace/events';
import { HandleEvent, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { INSERT_PLACED_SQL, SLOW_NOTE } from '../bench-events.js';

/** An order as a service would publish it, of about 300 bytes. */
const OrderPlaced = defineEvent({
  type: 'order.placed',
  schemaVersion: 1,
  aggregate: 'order',
  key: (payload) => payload.orderId,
  schema: z.object({
    orderId: z.string(),
    customerId: z.string(),
    totalCents: z.number().int(),
    note: z.string(),
    lines: z.array(z.object({ sku: z.string(), quantity: z.number().int(), unitPriceCents: z.number().int() })),
  }),
});

const SLOW_MS = 1_000;

/** One insert per event; an event that says so takes a second. */
@Injectable()
export class BenchHandlers {
  @HandleEvent(OrderPlaced)
  async place({ id, payload, sentAtMs }: ReceivedEvent<typeof OrderPlaced>, tx: Transaction): Promise<void> {
    await tx.query(INSERT_PLACED_SQL, [id, payload.orderId, payload.totalCents, sentAtMs]);
    if (payload.note === SLOW_NOTE) {
      await sleep(SLOW_MS);
    }
  }
}
