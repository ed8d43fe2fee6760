import { z } from 'zod';

const TEXT_ID = /^(?!\s)[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,64}(?<!\s)$/u;

/** A text that users choose as a name for something (`sku`, `customerId`); kept and compared exactly as given. */
function textId(name: string): z.ZodString {
  const rule = `${name} must be a text of 1 to 64 characters, without control characters and without blanks at its ends`;
  return z.string(rule).regex(TEXT_ID, rule);
}

/** The name of an article. */
export const skuSchema = textId('sku');

/** The name of a customer, as the caller's system has it. */
export const customerIdSchema = textId('customerId');

/** The most pieces of one line. */
export const QUANTITY_MAX = 1_000_000;

const QUANTITY_RULE = `quantity must be a whole number from 1 to ${QUANTITY_MAX}`;

/** Pieces, never none, never a part of one. */
export const quantitySchema = z.int(QUANTITY_RULE).min(1, QUANTITY_RULE).max(QUANTITY_MAX, QUANTITY_RULE);

/** The highest price of a piece in cents. */
export const UNIT_PRICE_CENTS_MAX = 1_000_000_000;

const PRICE_RULE = `unitPriceCents must be a whole number of cents from 0 to ${UNIT_PRICE_CENTS_MAX}`;

/** Cents for one piece; nothing is a price too. */
export const unitPriceCentsSchema = z.int(PRICE_RULE).min(0, PRICE_RULE).max(UNIT_PRICE_CENTS_MAX, PRICE_RULE);

/** The highest sum that a JSON number carries exactly: 2^53 - 1 cents. */
export const TOTAL_CENTS_MAX = Number.MAX_SAFE_INTEGER;

/** Cents in all. */
export const totalCentsSchema = z.int().min(0).max(TOTAL_CENTS_MAX);

/** An order's id; the key of every event about it, whichever service tells it. */
export const orderIdSchema = z.uuid();

/** Why something was refused, as a word to branch on: `out-of-stock`, `insufficient-funds`. */
export const reasonSchema = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/);
