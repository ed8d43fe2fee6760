import { TOTAL_CENTS_MAX } from '@millrace/contracts';
import { type EntityManager } from 'typeorm';

import { FIND_OPENING, LOCK_ACCOUNT, MOVE_MONEY, OPEN_ACCOUNT } from './account.sql.js';

/** An account right after a change, or as it stands. */
export interface Balance {
  readonly customerId: string;
  readonly balanceCents: number;
  /** Counts the changes of the account from 1. */
  readonly version: number;
}

/** An account whose row this transaction has locked: nobody else changes it until the end of it. */
export interface LockedAccount extends Balance {
  readonly depositedCents: number;
}

/** How money moves. Amounts are never below zero; `capture` takes. */
export type Movement =
  | { readonly kind: 'deposit'; readonly amountCents: number }
  | { readonly kind: 'capture' | 'refund'; readonly amountCents: number; readonly paymentId: string };

interface BalanceRow {
  readonly version: string;
  readonly balance_cents: string;
}

/** Locks the account until the transaction ends; undefined when there is none. */
export async function lockAccount(manager: EntityManager, customerId: string): Promise<LockedAccount | undefined> {
  const [row] = await manager.query<(BalanceRow & { deposited_cents: string })[]>(LOCK_ACCOUNT, [customerId]);
  return row && { ...toBalance(customerId, row), depositedCents: Number(row.deposited_cents) };
}

/** Opens an account with its first deposit; undefined when the customer has one already. */
export async function openAccount(
  manager: EntityManager,
  customerId: string,
  balanceCents: number,
): Promise<Balance | undefined> {
  const [row] = await manager.query<BalanceRow[]>(OPEN_ACCOUNT, [customerId, balanceCents]);
  return row && toBalance(customerId, row);
}

/** What an account was opened with, beside what it holds now; undefined when there is none. */
export async function findOpening(
  manager: EntityManager,
  customerId: string,
): Promise<(Balance & { readonly openingCents: number }) | undefined> {
  const [row] = await manager.query<(BalanceRow & { opening_cents: string })[]>(FIND_OPENING, [customerId]);
  return row && { ...toBalance(customerId, row), openingCents: Number(row.opening_cents) };
}

/** Whether a deposit keeps everything ever paid into the account within what a JSON number carries exactly. */
export function canDeposit({ depositedCents }: LockedAccount, amountCents: number): boolean {
  return amountCents <= TOTAL_CENTS_MAX - depositedCents;
}

/** Moves money and adds the entry that says so. What the account cannot bear, its constraints refuse. */
export async function moveMoney(
  manager: EntityManager,
  { customerId }: LockedAccount,
  movement: Movement,
): Promise<Balance> {
  const { kind, amountCents } = movement;
  const [row] = await manager.query<BalanceRow[]>(MOVE_MONEY, [
    customerId,
    kind === 'capture' ? -amountCents : amountCents,
    kind,
    kind === 'deposit' ? null : movement.paymentId,
  ]);
  if (row === undefined) {
    throw new Error('The account was not there to move money on: lock it first.');
  }
  return toBalance(customerId, row);
}

function toBalance(customerId: string, { version, balance_cents }: BalanceRow): Balance {
  return { customerId, balanceCents: Number(balance_cents), version: Number(version) };
}
