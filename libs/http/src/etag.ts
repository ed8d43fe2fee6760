import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';

import { ProblemError } from './http.errors.js';

/** What the `If-Match` of a request demands: nothing, that the resource exists, or that it has one of these tags. */
export type Precondition =
  | { readonly kind: 'none' }
  | { readonly kind: 'exists' }
  | { readonly kind: 'one-of'; readonly etags: readonly string[] };

const ETAG = /(?:W\/)?"[!#-~\u0080-\u00ff]*"/;
const IF_MATCH = new RegExp(`^\\s*${ETAG.source}(?:\\s*,\\s*${ETAG.source})*\\s*$`);

/** The strong entity tag of a version of a resource; the value of its `ETag` header. */
export function etagOf(version: number | bigint | string): string {
  return `"${version}"`;
}

/** Injects the `Precondition` of a request; a header that is none of RFC 9110 is refused with 400. */
export const IfMatch = createParamDecorator((_data: unknown, context: ExecutionContext): Precondition => {
  return parseIfMatch(context.switchToHttp().getRequest<Request>().headers['if-match']);
});

/** Reads an `If-Match` header. Throws `ProblemError` `invalid-request` for what is neither `*` nor a list of tags. */
export function parseIfMatch(header: string | undefined): Precondition {
  if (header === undefined) {
    return { kind: 'none' };
  }
  if (header.trim() === '*') {
    return { kind: 'exists' };
  }
  if (!IF_MATCH.test(header)) {
    throw new ProblemError('invalid-request', 'If-Match must be the ETag of an earlier answer, in its quotes.');
  }
  return { kind: 'one-of', etags: header.match(new RegExp(ETAG, 'g')) ?? [] };
}

/**
 * Compares what a write demands with the resource as it is, under its lock: `etag` of the stored version, or `null`
 * when there is none. Passes for a new resource without a demand. Throws `ProblemError`: `precondition-required` (428)
 * when the resource exists and the caller has not said which version it saw; `precondition-failed` (412) when it is
 * another one. Weak tags never match (RFC 9110, 13.1.1).
 */
export function requireMatch(precondition: Precondition, etag: string | null): void {
  if (precondition.kind === 'none') {
    if (etag !== null) {
      throw new ProblemError(
        'precondition-required',
        'The resource exists. GET it, and send its ETag as If-Match, so that no change in between is written over.',
      );
    }
    return;
  }
  if (etag === null || (precondition.kind === 'one-of' && !precondition.etags.includes(etag))) {
    throw new ProblemError(
      'precondition-failed',
      'The resource is not the one of If-Match. GET it again, and repeat the request with its ETag if it still fits.',
      etag === null ? {} : { headers: { ETag: etag } },
    );
  }
}
