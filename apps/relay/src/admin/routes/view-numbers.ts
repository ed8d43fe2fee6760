import { z } from 'zod';

/** 64-bit numbers are decimal text: JSON's numbers are exact to 53 bits only. */
export const bigNumber = z.string().regex(/^\d+$/).describe('64-bit number as decimal text');

/** The same where it may be below 0. */
export const signedNumber = z
  .string()
  .regex(/^-?\d+$/)
  .describe('64-bit number as decimal text');

/** A count that stays small. */
export const count = (): z.ZodInt => z.int().min(0);
