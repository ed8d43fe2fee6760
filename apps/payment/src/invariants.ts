import { paymentFiguresSchema } from '@millrace/contracts';
import { type ServiceInvariants } from '@millrace/service';

import {
  BALANCES_ARE_PROVED,
  BALANCES_NEVER_NEGATIVE,
  FIGURES,
  MONEY_IS_CONSERVED,
  PAYMENTS_ARE_BOOKED,
  PAYMENTS_ARE_TOLD,
} from './invariants.sql.js';

/** What holds of the money at every instant, as `GET /invariants` checks it. */
export const paymentInvariants: ServiceInvariants = {
  figures: { schema: paymentFiguresSchema, sql: FIGURES },
  checks: [
    {
      name: 'money-is-conserved',
      rule: 'Deposits are the sum of all balances, plus what was ever captured, minus what was refunded.',
      sql: MONEY_IS_CONSERVED,
    },
    {
      name: 'balances-are-proved',
      rule: 'The balance of each account is the sum of its entries, and its deposits are the sum of its deposit entries.',
      sql: BALANCES_ARE_PROVED,
    },
    {
      name: 'balances-never-negative',
      rule: 'No balance was below zero after any of its entries, which are numbered without a gap.',
      sql: BALANCES_NEVER_NEGATIVE,
    },
    {
      name: 'payments-are-booked',
      rule: 'Each payment has exactly the entries of its status, of its amount, on its own account.',
      sql: PAYMENTS_ARE_BOOKED,
    },
    {
      name: 'payments-are-told',
      rule: 'The outbox holds, as far as it is kept, exactly one event per version of each payment, of the type of that change.',
      reads: 'millrace.outbox',
      sql: PAYMENTS_ARE_TOLD,
    },
  ],
};
