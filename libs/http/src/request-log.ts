import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse } from 'node:http';

import { type DestinationStream, type Logger, pino } from 'pino';
import { type HttpLogger, pinoHttp } from 'pino-http';

/** Paths that are asked every few seconds by machines; a line for each would hide the rest. */
const QUIET_PATHS: ReadonlySet<string> = new Set(['/health/live', '/health/ready', '/metrics']);

/** Causes of causes that are logged; the deepest ones say least. */
const CAUSES_MAX = 4;

/** The levels that `LOG_LEVEL` may name. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** One of the levels that `LOG_LEVEL` may name. */
export type LogLevelName = (typeof LOG_LEVELS)[number];

/** The root logger of an app: JSON lines with `app`, to standard output where no destination is given. */
export function createRootLogger(name: string, level: LogLevelName, destination?: DestinationStream): Logger {
  const options = { level, base: { app: name }, serializers: { err: (error: unknown) => serializeError(error) } };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/**
 * The middleware that gives each request an id and one line at its end: id, method, path, status, milliseconds.
 * Bodies, headers and query strings are never logged; they hold tokens and personal data.
 */
export function createRequestLog(logger: Logger): HttpLogger {
  return pinoHttp({
    logger,
    genReqId: () => randomUUID(),
    quietReqLogger: true,
    customAttributeKeys: { reqId: 'requestId' },
    autoLogging: { ignore: (request) => QUIET_PATHS.has(pathOf(request)) },
    customLogLevel: (_request, response) => (response.statusCode >= 500 ? 'warn' : 'info'),
    customSuccessMessage: () => 'request completed',
    customErrorMessage: () => 'request completed',
    customSuccessObject: lineOf,
    customErrorObject: lineOf,
    wrapSerializers: false,
    serializers: { err: (error: unknown) => serializeError(error), req: () => undefined, res: () => undefined },
  });
}

/** The id that the request log gave to a request; undefined before the log has seen it. */
export function requestIdOf(request: IncomingMessage): string | undefined {
  return typeof request.id === 'string' ? request.id : undefined;
}

function pathOf(request: IncomingMessage): string {
  const url = 'originalUrl' in request ? String(request.originalUrl) : (request.url ?? '');
  return url.split('?', 1)[0] ?? '';
}

function lineOf(request: IncomingMessage, response: ServerResponse, value: unknown): object {
  const { responseTime } = value as { responseTime?: number };
  return { method: request.method, path: pathOf(request), status: response.statusCode, durationMs: responseTime };
}

/**
 * Type, code, message and stack, cause by cause. Database errors carry the statement, its parameters and the row as
 * further fields; those are payloads and stay out.
 */
function serializeError(error: unknown, depth = 0): object {
  if (typeof error !== 'object' || error === null) {
    return { type: typeof error };
  }
  const { name, code, message, stack, cause } = error as Partial<Record<string, unknown>>;
  return {
    type: name,
    code,
    message,
    stack,
    ...(cause === undefined || depth >= CAUSES_MAX ? {} : { cause: serializeError(cause, depth + 1) }),
  };
}
