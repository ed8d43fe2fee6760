import { malformed } from './byte-cursor.js';

/**
 * Headers as an object of texts, as the poll's statement prints them: a string stays itself, any other value becomes a
 * string of what PostgreSQL printed for it. `json` is a jsonb object as PostgreSQL prints it; one of strings alone, the
 * usual case, comes back as it is. Nothing is parsed, so no number loses a digit and no depth is too deep.
 */
export function headerTexts(json: string): string {
  let printed = '';
  let copiedTo = 0;
  let at = 1;
  while (json.charCodeAt(at) === QUOTE) {
    const valueStart = endOfString(json, at) + ': '.length;
    const valueEnd = endOfValue(json, valueStart);
    if (json.charCodeAt(valueStart) !== QUOTE) {
      printed += json.slice(copiedTo, valueStart) + JSON.stringify(json.slice(valueStart, valueEnd));
      copiedTo = valueEnd;
    }
    at = valueEnd + ', '.length;
  }
  return copiedTo === 0 ? json : printed + json.slice(copiedTo);
}

const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = '\\'.charCodeAt(0);

/** The place after the string that begins at `start`. */
function endOfString(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (end !== -1 && isEscaped(json, end)) {
    end = json.indexOf('"', end + 1);
  }
  if (end === -1) {
    throw malformed('headers are not the text of a jsonb object');
  }
  return end + 1;
}

function isEscaped(json: string, at: number): boolean {
  let backslashes = 0;
  while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) {
    backslashes += 1;
  }
  return backslashes % 2 === 1;
}

/** The place after the value that begins at `start`, before its comma or the object's end. */
function endOfValue(json: string, start: number): number {
  if (json.charCodeAt(start) === QUOTE) {
    return endOfString(json, start);
  }
  let depth = 0;
  let at = start;
  while (at < json.length) {
    const character = json.charAt(at);
    if (depth === 0 && (character === ',' || character === '}')) {
      return at;
    }
    depth += DEPTH_STEP[character] ?? 0;
    at = character === '"' ? endOfString(json, at) : at + 1;
  }
  throw malformed('headers are not the text of a jsonb object');
}

const DEPTH_STEP: Readonly<Record<string, number>> = { '{': 1, '[': 1, '}': -1, ']': -1 };
