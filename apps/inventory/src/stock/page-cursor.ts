import { ProblemError } from '@millrace/http';
import { type z } from 'zod';

/** The place after an entry of a list: the entry's key, so encoded that callers do not build on its form. */
export function encodeCursor(key: string): string {
  return Buffer.from(key).toString('base64url');
}

/** The key in a cursor. Throws `ProblemError` `invalid-request` when it is none that `schema` knows. */
export function decodeCursor<Key>(cursor: string, schema: z.ZodType<Key>): Key {
  const parsed = schema.safeParse(Buffer.from(cursor, 'base64url').toString());
  if (!parsed.success) {
    throw new ProblemError('invalid-request', 'The cursor is not one of this API.', {
      errors: [{ path: 'cursor', message: 'cursor must be the nextCursor of an earlier page' }],
    });
  }
  return parsed.data;
}
