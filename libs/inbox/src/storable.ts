const TEXT_LENGTH_MAX = 500;
const DAY_MS = 86_400_000;
/** The last time that a JavaScript date can be. */
const TIME_MAX_MS = 8.64e15;

/** A text for people, cut and cleaned so that it can be stored, whatever a handler passed for it. */
export function storableText(text: unknown): string {
  return String(text).replaceAll('\0', '\ufffd').slice(0, TEXT_LENGTH_MAX);
}

/** Whole milliseconds until the next try: from none to a day; `usualMs` for what is no number. */
export function storableWaitMs(waitMs: number, usualMs: number): number {
  return wholeNumber(waitMs, 0, DAY_MS) ?? usualMs;
}

/** Whole milliseconds since 1970, within what a date can be. */
export function storableTimeMs(timeMs: number): number {
  return wholeNumber(timeMs, -TIME_MAX_MS, TIME_MAX_MS) ?? 0;
}

/** The nearest one within the bounds; null for NaN. */
function wholeNumber(value: number, min: number, max: number): number | null {
  const whole = Math.round(Math.min(Math.max(value, min), max));
  return Number.isNaN(whole) ? null : whole;
}
