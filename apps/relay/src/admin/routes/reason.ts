import { z } from 'zod';

/** Why somebody does something; for the audit row. */
export const reasonSchema = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .regex(/^\P{Cc}*$/u, 'must be one line of text without control characters')
  .describe('kept in the audit row');
