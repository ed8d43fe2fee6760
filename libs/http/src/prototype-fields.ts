import type { NextFunction, Request, Response } from 'express';

import { ProblemError } from './http.errors.js';

const NAME = '__proto__';

/**
 * Refuses a body with a field `__proto__`, at any depth. A schema that refuses unknown fields skips this one, and code
 * that copies fields one by one would set the prototype of its copy.
 */
export function refusePrototypeFields(request: Request, _response: Response, next: NextFunction): void {
  if (hasPrototypeField(request.body)) {
    next(
      new ProblemError('invalid-request', 'A field of the body has a name that is not allowed. See errors.', {
        errors: [{ path: NAME, message: 'No field may have this name: leave it out.' }],
      }),
    );
    return;
  }
  next();
}

/** Without recursion: a body may be nested as deep as its size allows. */
export function hasPrototypeField(value: unknown): boolean {
  const open: unknown[] = [value];
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    if (typeof item === 'object' && item !== null) {
      if (Object.hasOwn(item, NAME)) {
        return true;
      }
      const values: unknown[] = Object.values(item);
      for (const inner of values) {
        open.push(inner);
      }
    }
  }
  return false;
}
