import { createHash } from 'node:crypto';

import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request, Response } from 'express';

import { ProblemError } from './http.errors.js';
import { DELETE_EXPIRED, FIND_ANSWER, STORE_ANSWER, TRY_LOCK } from './idempotency.sql.js';
import { routeOf } from './request-metrics.js';

/** Runs statements in one open transaction; a TypeORM `EntityManager` or `QueryRunner` fits as it is. */
export interface TransactionQuery {
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}

/** Who asks for what, once: the caller's key, the operation it counts for, and what it is asked of. */
export interface IdempotentRequest {
  readonly key: string;
  /** Method and route template; the same key may serve another operation. */
  readonly scope: string;
  /** Path and query as sent. */
  readonly target: string;
}

/** An answer that can be given again. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** An answer and whether it is an earlier one given again; `Idempotency-Replayed: true` tells the caller. */
export interface IdempotentAnswer extends Answer {
  readonly isReplayed: boolean;
}

const KEY_PATTERN = /^[!-~]{1,255}$/;
const PRUNE_EVERY = 64;
const PRUNE_ROWS = 256;

/** Injects the `IdempotentRequest` of a POST; without a usable `Idempotency-Key` the request is refused with 400. */
export const Idempotent = createParamDecorator((_data: unknown, context: ExecutionContext): IdempotentRequest => {
  return toIdempotentRequest(context.switchToHttp().getRequest<Request>());
});

function toIdempotentRequest(request: Request): IdempotentRequest {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || !KEY_PATTERN.test(key)) {
    throw new ProblemError(
      'idempotency-key-invalid',
      'Send one Idempotency-Key header of 1 to 255 visible ASCII characters, such as a UUID: ' +
        'new for each intent, the same when it is repeated.',
    );
  }
  return { key, scope: `${request.method} ${routeOf(request) ?? request.path}`, target: request.originalUrl };
}

/** SHA-256 over target and input, whatever the order of the input's fields. */
function hashOf(target: string, input: unknown): string {
  return createHash('sha256')
    .update(`${target}\n${canonicalJson(input)}`)
    .digest('hex');
}

/** JSON with the fields of every object sorted, so that equal requests have equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value ?? null, (_key, field: unknown) =>
    typeof field === 'object' && field !== null && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  );
}

/**
 * Remembers the first answer to each idempotent request for 24 hours, in the service's own database. One per app: it
 * counts the answers between two prunings.
 */
export class IdempotencyKeys {
  private untilPruning = 0;

  /**
   * Acts once per key. Inside the caller's transaction `tx`: takes the key's lock, looks for an earlier answer and gives
   * it again; otherwise runs `act` and stores its answer with what it wrote. So both commit or neither does, and a
   * caller that lost the answer asks again with the same key. `input` is the checked body (undefined where there is
   * none): hashing it unchecked would let a caller's nesting exhaust the stack.
   *
   * Throws `ProblemError`: `idempotency-key-in-progress` (409) while another transaction holds the key, which ends with
   * that transaction, also when its process or connection dies; `idempotency-key-reused` (422) when the key was
   * used for another path or body. An `act` that throws rolls back with the transaction: nothing is remembered, and
   * the same key may try again, as a refused request has changed nothing.
   *
   * `tx` must be at READ COMMITTED: a snapshot older than the lock could miss the answer of the transaction before.
   */
  async answerOnce(
    tx: TransactionQuery,
    request: IdempotentRequest,
    input: unknown,
    act: () => Promise<Answer>,
  ): Promise<IdempotentAnswer> {
    const requestHash = hashOf(request.target, input);
    await lock(tx, request);
    const earlier = await find(tx, request, requestHash);
    if (earlier !== undefined) {
      return { ...earlier, isReplayed: true };
    }
    const { status, headers, body } = await act();
    await tx.query(STORE_ANSWER, [
      request.scope,
      request.key,
      requestHash,
      status,
      JSON.stringify(headers),
      JSON.stringify(body),
    ]);
    await this.prune(tx);
    return { status, headers, body, isReplayed: false };
  }

  /** Last in the transaction and past locked rows, so it neither waits for others nor makes them wait for long. */
  private async prune(tx: TransactionQuery): Promise<void> {
    if (this.untilPruning > 0) {
      this.untilPruning -= 1;
      return;
    }
    this.untilPruning = PRUNE_EVERY - 1;
    await tx.query(DELETE_EXPIRED, [PRUNE_ROWS]);
  }
}

/** Sets status and headers of an idempotent answer, and returns its body for the route to return. */
export function giveAnswer(response: Response, { status, headers, body, isReplayed }: IdempotentAnswer): unknown {
  response.status(status).set({ ...headers, ...(isReplayed ? { 'Idempotency-Replayed': 'true' } : {}) });
  return body;
}

async function lock(tx: TransactionQuery, { scope, key }: IdempotentRequest): Promise<void> {
  const rows = rowsOf(await tx.query(TRY_LOCK, [scope, key]));
  if (rows[0]?.['is_locked'] !== true) {
    throw new ProblemError(
      'idempotency-key-in-progress',
      'A request with this Idempotency-Key is running. Ask again with the same key for its answer.',
      { headers: { 'Retry-After': '1' } },
    );
  }
}

async function find(
  tx: TransactionQuery,
  { scope, key }: IdempotentRequest,
  requestHash: string,
): Promise<Answer | undefined> {
  const row = rowsOf(await tx.query(FIND_ANSWER, [scope, key]))[0];
  if (row === undefined) {
    return undefined;
  }
  if (row['request_hash'] !== requestHash) {
    throw new ProblemError(
      'idempotency-key-reused',
      'The key belongs to a request with another path or body. Use a new key for a new intent.',
    );
  }
  return {
    status: Number(row['status']),
    headers: row['headers'] as Record<string, string>,
    body: row['body'],
  };
}

function rowsOf(result: unknown): Record<string, unknown>[] {
  return Array.isArray(result) ? (result as Record<string, unknown>[]) : [];
}
