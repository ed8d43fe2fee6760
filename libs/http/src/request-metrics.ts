import { type IncomingMessage, type ServerResponse } from 'node:http';

import { Histogram, type Registry } from 'prom-client';

/** Name and labels of the one HTTP metric; its `_count` is the number of requests. */
export const HTTP_REQUEST_DURATION = {
  name: 'millrace_http_request_duration_seconds',
  help: 'Seconds from a request to the end of its answer, by route template',
  labelNames: ['method', 'route', 'status'],
} as const;

const BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Methods are the caller's text; any other than these is counted as `other`, so that labels stay few. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

type RequestMetrics = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/**
 * The middleware that measures every request under its route template (`/orders/:id`), never under its path: ids in
 * labels would make a series each. Requests that no route took are `unmatched`.
 */
export function createRequestMetrics(registry: Registry): RequestMetrics {
  const duration = new Histogram({ ...HTTP_REQUEST_DURATION, buckets: BUCKETS, registers: [registry] });
  return (request, response, next) => {
    const stop = duration.startTimer();
    response.once('close', () => {
      const method = request.method ?? '';
      stop({
        method: METHODS.has(method) ? method : 'other',
        route: routeOf(request) ?? 'unmatched',
        status: String(response.statusCode),
      });
    });
    next();
  };
}

/** The template of the route that took a request, as Express notes it; a wildcard is middleware, not a route. */
export function routeOf(request: IncomingMessage): string | undefined {
  if (!('route' in request) || typeof request.route !== 'object' || request.route === null) {
    return undefined;
  }
  const path = 'path' in request.route ? request.route.path : undefined;
  return typeof path === 'string' && !path.includes('*') ? path : undefined;
}
