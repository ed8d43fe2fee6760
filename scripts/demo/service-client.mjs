import { setTimeout as sleep } from 'node:timers/promises';

const ANSWER_TIMEOUT_MS = 10_000;
const WAIT_MS = { first: 100, longest: 2_000 };
const GIVE_UP_MS = 300_000;
const STILL_RUNNING = 'urn:millrace:problem:idempotency-key-in-progress';

/**
 * Requests to the services while they are being killed: one whose outcome is unknown (no answer, or a passing refusal)
 * is made again, the same with the same key, until it is answered.
 */
export class ServiceClient {
  /** Requests that were made again. */
  repeats = 0;
  /** Answers of 500, which are nobody's outage. */
  failures = 0;

  /** Resolves to `{ status, body, headers }` with any status that says what came of it. */
  async answer(url, { method = 'GET', body, key } = {}) {
    const request = requestOf({ method, body, key });
    const deadline = performance.now() + GIVE_UP_MS;
    for (let waitMs = WAIT_MS.first; ; waitMs = Math.min(waitMs * 1.5, WAIT_MS.longest)) {
      const answer = await this.#attempt(url, request);
      if (!isOpen(answer)) {
        return answer;
      }
      if (performance.now() > deadline) {
        throw new Error(`${method} ${url} was not answered within ${GIVE_UP_MS / 1_000} s: ${describe(answer)}`);
      }
      this.repeats += 1;
      await sleep(Math.max(waitMs, askedToWaitMs(answer)) * (0.75 + Math.random() / 2));
    }
  }

  async #attempt(url, request) {
    try {
      const response = await fetch(url, { ...request, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
      const body = await response.json();
      this.failures += response.status === 500 ? 1 : 0;
      return { status: response.status, headers: response.headers, body };
    } catch (error) {
      return { status: 0, body: { detail: error.cause?.code ?? error.name } };
    }
  }
}

function requestOf({ method, body, key }) {
  return {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
}

/** Nobody knows, or the service asks to come again. */
function isOpen({ status, body }) {
  return status === 0 || status === 429 || status >= 500 || (status === 409 && body.type === STILL_RUNNING);
}

function askedToWaitMs({ headers }) {
  return Number(headers?.get('retry-after') ?? 0) * 1_000;
}

/** An answer in a few words, for a report. */
export function describe({ status, body }) {
  return `${status} ${body?.title ?? ''} ${body?.detail ?? ''}`.trim();
}
