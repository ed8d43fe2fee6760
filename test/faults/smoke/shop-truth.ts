import { type ApiAnswer } from '../../harness/api-client.js';
import { type OrderBody } from './shop-plan.js';

/** An order that the order service has accepted. */
export interface AcceptedOrder {
  readonly id: string;
  readonly key: string;
  readonly body: OrderBody;
  /** All that must be the same when the request is made again. */
  readonly answer: KeptAnswer;
  /** Wall clock, to be held beside the events' times. */
  readonly acceptedAt: Date;
  /** How its cancellations were answered. */
  readonly cancels: { readonly answeredAt: Date; readonly status: number }[];
}

/** What a repetition with the same key is given, too. */
export interface KeptAnswer {
  readonly status: number;
  readonly text: string;
  readonly location: string | null;
  readonly token: string | null;
}

/** A movement that a request was to make. */
export interface WantedMovement {
  readonly sku: string;
  readonly quantity: number;
}

/** A count: the version that it made, or would have made. */
export interface WantedCount extends WantedMovement {
  readonly version: number;
}

/**
 * What the customers and the warehouse know: which requests were accepted, and so what must be in the databases in the
 * end. Every request was repeated until it was answered, so there is nothing else.
 */
export class ShopTruth {
  readonly orders = new Map<string, AcceptedOrder>();
  /** By their reasons, each of which is used once. */
  readonly adjustments = new Map<string, WantedMovement>();
  readonly counts: WantedCount[] = [];
  /** Counts without an answer: there is no key to ask with, so both outcomes are right. */
  readonly unsureCounts: WantedCount[] = [];
  /** By customer; no amount comes twice for one. */
  readonly deposits = new Map<string, Set<number>>();
  readonly tallies = { twins: 0, repeated: 0, cancelsTaken: 0, cancelsLate: 0, refusedSides: 0 };
  /** Answers that must not be. */
  readonly wrongAnswers: string[] = [];

  wrong(text: string): void {
    this.wrongAnswers.push(text);
  }

  /** An order whose cancellation was accepted is cancelled. */
  isCancelTaken(id: string): boolean {
    return this.orders.get(id)?.cancels.some(({ status }) => status === 202) ?? false;
  }
}

/** The part of an answer that is given again. */
export function keptAnswer({ status, text, headers }: Pick<ApiAnswer, 'status' | 'text' | 'headers'>): KeptAnswer {
  return { status, text, location: headers.get('location'), token: headers.get('consistency-token') };
}

/** Whether a repetition was answered as the first request. */
export function isSameAnswer(first: KeptAnswer, again: KeptAnswer): boolean {
  return (
    first.status === again.status &&
    first.text === again.text &&
    first.location === again.location &&
    first.token === again.token
  );
}
