import { TOTAL_CENTS_MAX } from '@millrace/contracts';
import { z } from 'zod';

const AMOUNT_RULE = `amountCents must be a whole number of cents from 1 to ${TOTAL_CENTS_MAX}`;
const BALANCE_RULE = `balanceCents must be a whole number of cents from 0 to ${TOTAL_CENTS_MAX}`;

/** Money that is paid in; never nothing. `z.int` itself refuses what a JSON number does not carry exactly. */
export const amountCentsSchema = z.int(AMOUNT_RULE).min(1, AMOUNT_RULE);

/** Money that is there; maybe nothing. */
export const balanceCentsSchema = z.int(BALANCE_RULE).min(0, BALANCE_RULE);
