import { setTimeout as sleep } from 'node:timers/promises';

/** A request of a service's API. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly body?: unknown;
  /** The idempotency key of a POST. */
  readonly key?: string;
  readonly ifMatch?: string;
}

/** An answer that says what came of the request. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** As it came. */
  readonly text: string;
  readonly body: unknown;
  /** False when an earlier try of the same request may have had an effect, too. */
  readonly isFirst: boolean;
}

type Attempt = Omit<ApiAnswer, 'isFirst'>;

const ANSWER_TIMEOUT_MS = 10_000;
const WAIT_MS = { first: 100, longest: 1_500 };
const GIVE_UP_MS = 120_000;
const IN_PROGRESS = 'urn:millrace:problem:idempotency-key-in-progress';

/**
 * A client that keeps to the rules while services are killed: a request whose outcome is unknown (no answer, or a
 * passing refusal) is made again, the same with the same key, until it is answered.
 */
export class ApiClient {
  /** Requests that were made again. */
  repeats = 0;
  /** Answers of 500, which are nobody's outage: where, and what was said. */
  readonly failures: string[] = [];

  /** Resolves with any answer that says what came of it; rejects when there is none for two minutes. */
  async answer(request: ApiRequest): Promise<ApiAnswer> {
    const deadlineMs = performance.now() + GIVE_UP_MS;
    for (let waitMs = WAIT_MS.first, isFirst = true; ; waitMs = Math.min(waitMs * 1.6, WAIT_MS.longest)) {
      const attempt = await this.once(request);
      if (attempt !== undefined && !isPassing(attempt)) {
        return { ...attempt, isFirst };
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`${request.method} ${request.url} was not answered: ${attempt?.text ?? 'no connection'}`);
      }
      isFirst = false;
      this.repeats += 1;
      await sleep(Math.max(waitMs, retryAfterMs(attempt)) * (0.5 + Math.random()));
    }
  }

  /** One try; `undefined` when there was no answer. */
  async once(request: ApiRequest): Promise<Attempt | undefined> {
    const { method, url, body } = request;
    try {
      const response = await fetch(url, {
        method,
        headers: headersOf(request),
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (response.status === 500) {
        this.failures.push(`${method} ${url}: ${text}`);
      }
      return { status: response.status, headers: response.headers, text, body: JSON.parse(text) as unknown };
    } catch {
      return undefined; // it is down, or went down in the middle of its answer
    }
  }
}

function headersOf({ body, key, ifMatch }: ApiRequest): Record<string, string> {
  return {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(key === undefined ? {} : { 'idempotency-key': key }),
    ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
  };
}

/** What the service asks for, if it asks. */
function retryAfterMs(attempt: Attempt | undefined): number {
  return Number(attempt?.headers.get('retry-after') ?? 0) * 1_000;
}

/** The service asks to come again. */
function isPassing({ status, body }: Attempt): boolean {
  return status === 429 || status >= 500 || (status === 409 && Reflect.get(Object(body), 'type') === IN_PROGRESS);
}
