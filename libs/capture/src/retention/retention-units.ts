const DURATION_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;
const BYTES = { TiB: 1024 ** 4, GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, B: 1 } as const;

/** Milliseconds of a time such as `7d`, `12h`, `30m` or `45s`; `null` for any other text. */
export function durationMs(text: string): number | null {
  return amount(text, DURATION_MS);
}

/** A time as `durationMs` reads it, in the largest unit that it is a whole number of; below a second `0s`. */
export function durationText(ms: number): string {
  return printed(Math.trunc(ms / 1_000) * 1_000, DURATION_MS, '0s');
}

/** Bytes of a size such as `10GiB`, `512MiB` or `1TiB`; `null` for any other text. */
export function byteCount(text: string): number | null {
  return amount(text, BYTES);
}

/** A size as `byteCount` reads it, in the largest unit that it is a whole number of. */
export function bytesText(bytes: number): string {
  return printed(bytes, BYTES, '0B');
}

function amount(text: string, units: Readonly<Record<string, number>>): number | null {
  const [, digits = '', unit = ''] = /^(\d{1,9})([A-Za-z]{1,3})$/.exec(text) ?? [];
  const size = Object.hasOwn(units, unit) ? units[unit] : undefined;
  const value = size === undefined ? Number.NaN : Number(digits) * size;
  return Number.isSafeInteger(value) ? value : null;
}

function printed(value: number, units: Readonly<Record<string, number>>, none: string): string {
  const found = Object.entries(units).find(([, size]) => value >= size && value % size === 0);
  return found === undefined ? none : `${value / found[1]}${found[0]}`;
}
