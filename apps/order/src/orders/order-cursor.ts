import { parse, stringify } from 'uuid';

/** The place after an order in a list, newest first: its 16 bytes, so that callers do not build on its form. */
export function encodeCursor(orderId: string): string {
  return Buffer.from(parse(orderId)).toString('base64url');
}

/** The order's id in a cursor; undefined when the text is no cursor. */
export function decodeCursor(cursor: string): string | undefined {
  const bytes = Buffer.from(cursor, 'base64url');
  try {
    return bytes.length === 16 ? stringify(bytes) : undefined;
  } catch {
    // 16 bytes that are no UUID: the caller made them up
    return undefined;
  }
}
