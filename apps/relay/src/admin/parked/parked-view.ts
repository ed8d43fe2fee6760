import { type HeldKeyView, type ParkedCode, type ParkedEvent } from '@millrace/capture';
import { z } from 'zod';
import { bigNumber, count } from '../routes/view-numbers.js';

const PAGE_MAX = 200;

/** How a refused event, or its key, stands. */
export const heldStateSchema = z
  .enum(['held', 'parked', 'skipped'])
  .describe('held: tried again by itself; parked: waits for a person; skipped: left out, its key goes on');

const limit = z.coerce.number().int().min(1).max(PAGE_MAX).default(50).describe('how many at most');
const route = z.string().min(1).max(63).describe('name of the route');

/** Which refused events are asked for. */
export const parkedQuerySchema = z.strictObject({
  route,
  groupBy: z.enum(['error']).optional().describe('error: how many there are by code and state, instead of a page'),
  state: heldStateSchema.optional(),
  code: z.string().min(1).max(100).optional(),
  after: bigNumber.optional().describe('only events above this position: `next` of the page before'),
  limit,
});

export type ParkedQuery = z.infer<typeof parkedQuerySchema>;

/** Which held keys are asked for. */
export const heldKeysQuerySchema = z.strictObject({
  route,
  after: z.string().min(1).max(4_000).optional().describe('`next` of the page before'),
  limit,
});

export type HeldKeysQuery = z.infer<typeof heldKeysQuerySchema>;

const time = z.string().describe('RFC 3339, UTC').meta({ format: 'date-time' });

const refusal = {
  state: heldStateSchema,
  code: z.string().describe('why it was refused'),
  reason: z.string(),
  attempts: count().describe('how often it was refused'),
  heldAt: time,
  nextTry: time.nullable().describe('null: not by itself'),
};

const parkedEventView = z.object({
  position: bigNumber,
  id: z.string(),
  aggregateType: z.string(),
  aggregateId: z.string(),
  ...refusal,
});

/** A page of refused events, or their number by code. No payloads. */
export const parkedViewSchema = z
  .object({
    route: z.string(),
    events: z.array(parkedEventView).describe('by position; those that only wait behind one of them are not listed'),
    codes: z
      .array(z.object({ code: z.string(), state: heldStateSchema, events: count(), heldAt: time }))
      .describe('with groupBy=error'),
    next: z.string().nullable().describe('value of `after` for the next page; null: this is the last one'),
  })
  .meta({ title: 'Parked' });

export type ParkedView = z.infer<typeof parkedViewSchema>;

/** A page of keys of which events are held. */
export const heldKeysViewSchema = z
  .object({
    route: z.string(),
    keys: z.array(
      z.object({
        aggregateType: z.string(),
        aggregateId: z.string(),
        ...refusal,
        events: count().describe('of its chain: the refused ones and those that wait behind them'),
        bytes: count(),
        first: bigNumber.nullable().describe('position of the first one; null: none is left'),
      }),
    ),
    next: z.string().nullable().describe('value of `after` for the next page; null: this is the last one'),
  })
  .meta({ title: 'HeldKeys' });

export type HeldKeysView = z.infer<typeof heldKeysViewSchema>;

export function parkedPage(of: string, events: readonly ParkedEvent[], pageMax: number): ParkedView {
  const last = events.length === pageMax ? events[events.length - 1] : undefined;
  return { route: of, events: events.map((event) => ({ ...event })), codes: [], next: last?.position ?? null };
}

export function parkedCodes(of: string, codes: readonly ParkedCode[]): ParkedView {
  return { route: of, events: [], codes: codes.map((code) => ({ ...code })), next: null };
}

export function heldKeysPage(of: string, keys: readonly HeldKeyView[], pageMax: number): HeldKeysView {
  const last = keys.length === pageMax ? keys[keys.length - 1] : undefined;
  const next = last === undefined ? null : keyCursor(last);
  return { route: of, keys: keys.map((key) => ({ ...key })), next };
}

/** A key may hold any character. */
function keyCursor({ aggregateType, aggregateId }: Pick<HeldKeyView, 'aggregateType' | 'aggregateId'>): string {
  return Buffer.from(JSON.stringify([aggregateType, aggregateId])).toString('base64url');
}

const cursorSchema = z.tuple([z.string(), z.string()]);

/** `null`: not one of ours. */
export function keyOfCursor(cursor: string): Pick<HeldKeyView, 'aggregateType' | 'aggregateId'> | null {
  try {
    const [aggregateType, aggregateId] = cursorSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
    return { aggregateType, aggregateId };
  } catch {
    return null;
  }
}
