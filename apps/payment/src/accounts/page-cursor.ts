/** The place after an item of a list, in a form that callers do not build on. */
export function encodeCursor(place: string): string {
  return Buffer.from(place).toString('base64url');
}

/** The place in a cursor; undefined when the text is none that `encodeCursor` makes. */
export function decodeCursor(cursor: string): string | undefined {
  const place = Buffer.from(cursor, 'base64url').toString();
  return encodeCursor(place) === cursor ? place : undefined;
}
