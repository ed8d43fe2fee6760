import { randomUUID } from 'node:crypto';

/** A row of the outbox as it comes from PostgreSQL: columns as text. */
export type OutboxTexts = readonly (string | null)[];

/** Places in a row. */
export const COLUMN = { aggregateType: 2, type: 4, headers: 8 } as const;

const REGIONS = ['eu', 'us'];
const TYPES = ['order.placed', 'order.paid', 'order.cancelled'];

/** Rows of orders with payloads of about 300 bytes and three headers of the producer. */
export function outboxTexts(rows: number): readonly OutboxTexts[] {
  return Array.from({ length: rows }, (_, n) => {
    const orderId = randomUUID();
    const payload = JSON.stringify({
      orderId,
      customerId: `customer-${n % 1_000}`,
      totalCents: n,
      placedAt: '2026-11-22T06:00:00.123456+00:00',
      note: orderId.repeat(2),
      lines: [{ sku: `sku-${n % 500}`, quantity: 1 + (n % 9), unitPriceCents: n % 5_000 }],
    });
    const headers = JSON.stringify({
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tenant: `tenant-${n % 100}`,
      region: REGIONS[n % REGIONS.length],
    });
    return [
      ...[String(n + 1), randomUUID(), 'order', orderId, TYPES[n % TYPES.length] ?? null, '1', '1'],
      ...[payload, headers, '2026-11-22 06:00:00.123456+00', String(payload.length + headers.length)],
    ];
  });
}
