import { HttpException } from '@nestjs/common';
import { z } from 'zod';

import { type ProblemCode, ProblemError, problemCodeOf } from './http.errors.js';

/** The body of every error answer, media type `application/problem+json` (RFC 9457). */
export const problemSchema = z
  .object({
    type: z.string().describe('urn:millrace:problem:<code>; the part to branch on'),
    title: z.string().describe('what went wrong, the same for every problem of this type'),
    status: z.int().min(400).max(599),
    detail: z.string().describe('what went wrong this time, and what to do'),
    instance: z.string().describe('urn:uuid of the request, as in the service log').optional(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .describe('each thing wrong with the request; never the values sent')
      .optional(),
  })
  .describe('Problem details (RFC 9457)');

/** The body of an error answer. */
export type Problem = z.infer<typeof problemSchema>;

/** The media type of every error answer. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/**
 * Makes any thrown value the problem that is answered. What the framework throws gets our words in place of its own,
 * because those repeat what was sent (a JSON parser quotes the body). Everything unknown is `internal`.
 */
export function toProblemError(error: unknown): ProblemError {
  if (error instanceof ProblemError) {
    return error;
  }
  if (!(error instanceof HttpException)) {
    return new ProblemError('internal', 'The service failed unexpectedly. Its log has the cause under this instance.', {
      cause: error,
    });
  }
  if (error.cause instanceof SyntaxError) {
    return new ProblemError('malformed-json', 'Send one JSON object in UTF-8.', { cause: error });
  }
  const code = problemCodeOf(error.getStatus());
  return new ProblemError(code, detailOf(code), { cause: error });
}

const DETAILS: Partial<Record<ProblemCode, string>> = {
  'not-found': 'No route has this method and path; GET /openapi.json lists all.',
  'payload-too-large': 'The largest body accepted is 64 KiB.',
  'unsupported-media-type': 'Send the body as application/json in UTF-8, plain or with gzip, deflate or br.',
};

function detailOf(code: ProblemCode): string {
  return DETAILS[code] ?? 'The request could not be read. Check its path, headers and encoding.';
}

/** The wire form of a problem; `requestId` is told only where the log holds more than the answer. */
export function toProblem(error: ProblemError, requestId: string | undefined): Problem {
  return {
    type: `urn:millrace:problem:${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.detail,
    ...(requestId === undefined || error.status < 500 ? {} : { instance: `urn:uuid:${requestId}` }),
    ...(error.errors === undefined ? {} : { errors: [...error.errors] }),
  };
}
