import { customerIdSchema, totalCentsSchema } from '@millrace/contracts';
import { z } from 'zod';

import { ENTRY_KINDS } from './account.entity.js';
import { amountCentsSchema, balanceCentsSchema } from './cents.js';

/** The path of one account. */
export const accountPathSchema = z.object({ customerId: customerIdSchema });

/** The path of one account. */
export type AccountPath = z.infer<typeof accountPathSchema>;

/** The body of `PUT /accounts/{customerId}`. */
export const openAccountSchema = z.strictObject({ balanceCents: balanceCentsSchema });

/** The body of `PUT /accounts/{customerId}`. */
export type OpenAccount = z.infer<typeof openAccountSchema>;

/** The body of `POST /accounts/{customerId}/deposits`. */
export const depositSchema = z.strictObject({ amountCents: amountCentsSchema });

/** The body of `POST /accounts/{customerId}/deposits`. */
export type Deposit = z.infer<typeof depositSchema>;

/** An account as it is told. */
export const accountViewSchema = z.object({ customerId: z.string(), balanceCents: totalCentsSchema });

/** An account as it is told. */
export type AccountView = z.infer<typeof accountViewSchema>;

/** One change of a balance as it is told. */
export const entryViewSchema = z.object({
  entryNumber: z.int().min(1).describe('counts the entries of the account, without a gap'),
  kind: z.enum(ENTRY_KINDS),
  amountCents: z.int().describe('what the balance grew by; below zero for a capture'),
  balanceCents: totalCentsSchema.describe('the balance after this entry'),
  paymentId: z.uuid().optional().describe('of a capture or refund'),
  occurredAt: z.iso.datetime(),
});

/** One change of a balance as it is told. */
export type EntryView = z.infer<typeof entryViewSchema>;

const LIMIT_RULE = 'limit must be a whole number from 1 to 100';

/** The query of a list: `cursor` and `limit`. */
export const pageQuerySchema = z.strictObject({
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_-]{2,344}$/, 'cursor must be the nextCursor of an earlier page')
    .optional(),
  limit: z
    .string()
    .regex(/^\d{1,3}$/, LIMIT_RULE)
    .transform(Number)
    .pipe(z.number().min(1, LIMIT_RULE).max(100, LIMIT_RULE))
    .default(20)
    .meta({
      description: 'items of a page, 20 where not given',
      type: 'integer',
      minimum: 1,
      maximum: 100,
      pattern: undefined,
    }),
});

/** The query of a list. */
export type PageQuery = z.infer<typeof pageQuerySchema>;

const nextCursorSchema = z.string().nullable().describe('for the next page; null on the last');

/** One page of accounts, by customer in the order of code points. */
export const accountPageSchema = z.object({ items: z.array(accountViewSchema), nextCursor: nextCursorSchema });

/** One page of accounts. */
export type AccountPage = z.infer<typeof accountPageSchema>;

/** One page of an account's entries, newest first. */
export const entryPageSchema = z.object({ items: z.array(entryViewSchema), nextCursor: nextCursorSchema });

/** One page of an account's entries. */
export type EntryPage = z.infer<typeof entryPageSchema>;
