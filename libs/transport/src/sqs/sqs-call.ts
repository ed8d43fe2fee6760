import { within } from '../deadline.js';

/** Thrown when SQS gave no answer in time. */
class SqsTimeout extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * One request with a deadline of its own: the client is told to end it, and is not waited for if it does not. Ends early
 * when `stopping` is aborted.
 */
export async function callSqs<Answer>(
  ms: number,
  request: (signal: AbortSignal) => Promise<Answer>,
  stopping?: AbortSignal,
): Promise<Answer> {
  const ending = new AbortController();
  const stop = (): void => {
    ending.abort();
  };
  stopping?.addEventListener('abort', stop, { once: true });
  if (stopping?.aborted === true) {
    stop();
  }
  try {
    return await within(ms, request(ending.signal), () => {
      stop();
      throw new SqsTimeout(`no answer within ${ms} ms`);
    });
  } finally {
    stopping?.removeEventListener('abort', stop);
  }
}
