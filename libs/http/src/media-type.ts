import type { NextFunction, Request, Response } from 'express';

import { ProblemError } from './http.errors.js';

/** Refuses a body that is not JSON before it is read; without this it would silently count as no body at all. */
export function refuseOtherMedia(request: Request, _response: Response, next: NextFunction): void {
  if (request.headers['content-length'] !== '0' && request.is('json') === false) {
    next(new ProblemError('unsupported-media-type', 'Send the body as application/json in UTF-8.'));
    return;
  }
  next();
}
