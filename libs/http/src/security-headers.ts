import type { NextFunction, Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';

/**
 * Headers for an API, and for pages that load only their own files: no framing, no foreign or inline content, nothing
 * kept in a cache unless a route says otherwise. The demand for TLS only goes out where TLS is spoken.
 */
export function createSecurityHeaders(isTls: boolean): RequestHandler[] {
  const headers = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        objectSrc: ["'none'"],
      },
    },
    frameguard: { action: 'deny' },
    strictTransportSecurity: isTls,
  });
  return [headers, forbidCaching];
}

function forbidCaching(_request: Request, response: Response, next: NextFunction): void {
  response.set('Cache-Control', 'no-store');
  next();
}
