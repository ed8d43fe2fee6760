import { HttpStatus } from '@nestjs/common';

/** Every problem that an app of the workspace answers with: its HTTP status and its title, once. */
const PROBLEMS = {
  'invalid-request': { status: HttpStatus.BAD_REQUEST, title: 'The request is not valid' },
  'malformed-json': { status: HttpStatus.BAD_REQUEST, title: 'The body is not valid JSON' },
  'idempotency-key-invalid': { status: HttpStatus.BAD_REQUEST, title: 'A usable Idempotency-Key header is required' },
  'not-authenticated': { status: HttpStatus.UNAUTHORIZED, title: 'A valid token is required' },
  'not-allowed': { status: HttpStatus.FORBIDDEN, title: 'The token does not allow this' },
  'not-found': { status: HttpStatus.NOT_FOUND, title: 'There is no such resource' },
  'not-acceptable': { status: HttpStatus.NOT_ACCEPTABLE, title: 'The wanted representation is not offered' },
  'method-not-allowed': { status: HttpStatus.METHOD_NOT_ALLOWED, title: 'The method is not offered here' },
  conflict: { status: HttpStatus.CONFLICT, title: 'The state of the resource does not allow this' },
  'idempotency-key-in-progress': {
    status: HttpStatus.CONFLICT,
    title: 'The first request with this Idempotency-Key is still running',
  },
  'precondition-failed': { status: HttpStatus.PRECONDITION_FAILED, title: 'The resource has changed' },
  'payload-too-large': { status: HttpStatus.PAYLOAD_TOO_LARGE, title: 'The body is too large' },
  'unsupported-media-type': { status: HttpStatus.UNSUPPORTED_MEDIA_TYPE, title: 'The body must be application/json' },
  'idempotency-key-reused': {
    status: HttpStatus.UNPROCESSABLE_ENTITY,
    title: 'This Idempotency-Key was used for another request',
  },
  'precondition-required': { status: HttpStatus.PRECONDITION_REQUIRED, title: 'An If-Match header is required' },
  'too-many-requests': { status: HttpStatus.TOO_MANY_REQUESTS, title: 'Too many requests' },
  internal: { status: HttpStatus.INTERNAL_SERVER_ERROR, title: 'The service failed' },
  unavailable: { status: HttpStatus.SERVICE_UNAVAILABLE, title: 'The service is not available now' },
} as const satisfies Record<string, { status: HttpStatus; title: string }>;

/** The closed list of problem codes; a problem's `type` is `urn:millrace:problem:<code>`. */
export type ProblemCode = keyof typeof PROBLEMS;

/** One thing wrong with a request: where (`lines.0.quantity`, empty for the whole) and what. Never a value. */
export interface ProblemIssue {
  readonly path: string;
  readonly message: string;
}

/** What a `ProblemError` may add to its code and detail. */
export interface ProblemOptions {
  readonly errors?: readonly ProblemIssue[];
  /** Headers of the answer, e.g. `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * An answer that says no. Thrown anywhere below a controller, it becomes `application/problem+json` (RFC 9457) with
 * the status of its code. `detail` is read by the caller: it names the field or the rule and what to do, never a
 * value that was sent, never an internal.
 */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly title: string;
  readonly errors: readonly ProblemIssue[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    options: ProblemOptions = {},
  ) {
    super(detail, { cause: options.cause });
    this.status = PROBLEMS[code].status;
    this.title = PROBLEMS[code].title;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }
}

const CODE_OF_STATUS: ReadonlyMap<number, ProblemCode> = new Map<number, ProblemCode>([
  [HttpStatus.BAD_REQUEST, 'invalid-request'],
  [HttpStatus.UNAUTHORIZED, 'not-authenticated'],
  [HttpStatus.FORBIDDEN, 'not-allowed'],
  [HttpStatus.NOT_FOUND, 'not-found'],
  [HttpStatus.METHOD_NOT_ALLOWED, 'method-not-allowed'],
  [HttpStatus.NOT_ACCEPTABLE, 'not-acceptable'],
  [HttpStatus.CONFLICT, 'conflict'],
  [HttpStatus.PRECONDITION_FAILED, 'precondition-failed'],
  [HttpStatus.PRECONDITION_REQUIRED, 'precondition-required'],
  [HttpStatus.PAYLOAD_TOO_LARGE, 'payload-too-large'],
  [HttpStatus.UNSUPPORTED_MEDIA_TYPE, 'unsupported-media-type'],
  [HttpStatus.TOO_MANY_REQUESTS, 'too-many-requests'],
  [HttpStatus.SERVICE_UNAVAILABLE, 'unavailable'],
]);

/** The problem code of a bare HTTP status, as frameworks throw it; any other 4xx is `invalid-request`. */
export function problemCodeOf(status: number): ProblemCode {
  return CODE_OF_STATUS.get(status) ?? (status >= 400 && status < 500 ? 'invalid-request' : 'internal');
}

/**
 * A reason not to start that a person can act on: wrong configuration, a port in use, a database that is not there.
 * `runApp` prints each line of `problems` and exits with 1, without a stack trace. Lines never hold a secret.
 */
export class StartError extends Error {
  override readonly name = 'StartError';

  constructor(
    readonly problems: readonly string[],
    options: { readonly cause?: unknown } = {},
  ) {
    super(problems.join('\n'), options);
  }
}
