import { skuSchema } from '@millrace/contracts';
import { z } from 'zod';

/** The most pieces of an article in one body; no shelf has more, and sums of many stay exact. */
export const PIECES_MAX = 1_000_000_000_000;

const ON_HAND_RULE = `onHand must be a whole number from 0 to ${PIECES_MAX}`;
const QUANTITY_RULE = `quantity must be a whole number from -${PIECES_MAX} to ${PIECES_MAX}, and not 0`;
const REASON_RULE =
  'reason must be a text of 1 to 200 characters, without control characters and without blanks at its ends';
const REASON = /^(?!\s)[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,200}(?<!\s)$/u;

/** The path of one article. */
export const stockPathSchema = z.object({ sku: skuSchema });

/** The body of `PUT /stock/{sku}`. */
export const putStockSchema = z.strictObject({
  onHand: z.int(ON_HAND_RULE).min(0, ON_HAND_RULE).max(PIECES_MAX, ON_HAND_RULE).describe('what is there, as counted'),
});

/** The body of `PUT /stock/{sku}`. */
export type PutStock = z.infer<typeof putStockSchema>;

/** The body of `POST /stock/{sku}/adjustments`. */
export const adjustmentSchema = z.strictObject({
  quantity: z
    .int(QUANTITY_RULE)
    .min(-PIECES_MAX, QUANTITY_RULE)
    .max(PIECES_MAX, QUANTITY_RULE)
    .refine((quantity) => quantity !== 0, QUANTITY_RULE)
    .describe('pieces that came (above 0) or went (below 0)'),
  reason: z.string(REASON_RULE).regex(REASON, REASON_RULE),
});

/** The body of `POST /stock/{sku}/adjustments`. */
export type Adjustment = z.infer<typeof adjustmentSchema>;

const piecesSchema = z.int().min(0);

/** An article as it is told. */
export const stockViewSchema = z.object({
  sku: z.string(),
  received: piecesSchema.describe('the sum of all movements'),
  onHand: piecesSchema.describe('received - sold = reserved + available'),
  reserved: piecesSchema.describe('promised to orders whose outcome is open'),
  available: piecesSchema,
  sold: piecesSchema,
});

/** An article as it is told. */
export type StockView = z.infer<typeof stockViewSchema>;

/** One page of articles, in the order of the bytes of their names. */
export const stockPageSchema = z.object({
  items: z.array(stockViewSchema),
  nextCursor: z.string().nullable().describe('for the next page; null on the last'),
});

/** One page of articles. */
export type StockPage = z.infer<typeof stockPageSchema>;

/** A movement as it is told. */
export const movementViewSchema = z.object({
  version: z.int().min(1).describe('the version of the stock that it made'),
  quantity: z.int(),
  reason: z.string(),
  createdAt: z.iso.datetime(),
});

/** One page of the movements of an article, newest first. */
export const movementPageSchema = z.object({
  items: z.array(movementViewSchema),
  nextCursor: z.string().nullable().describe('for the next page; null on the last'),
});

/** One page of the movements of an article, newest first. */
export type MovementPage = z.infer<typeof movementPageSchema>;

const LIMIT_RULE = 'limit must be a whole number from 1 to 100';

/** The query of a list. */
export const pageQuerySchema = z.strictObject({
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,400}$/, 'cursor must be the nextCursor of an earlier page')
    .optional(),
  limit: z
    .string()
    .regex(/^\d{1,3}$/, LIMIT_RULE)
    .transform(Number)
    .pipe(z.number().min(1, LIMIT_RULE).max(100, LIMIT_RULE))
    .default(20)
    .meta({
      description: 'entries of a page, 20 where not given',
      type: 'integer',
      minimum: 1,
      maximum: 100,
      pattern: undefined,
    }),
});

/** The query of a list. */
export type PageQuery = z.infer<typeof pageQuerySchema>;
