/** JSON text for a jsonb column, and how many bytes PostgreSQL will print for it. */
export interface JsonbText {
  readonly text: string;
  /** Bytes of `payload::text`: jsonb prints a blank after each colon and comma, and numbers without exponent. */
  readonly printedBytes: number;
}

/** Why a value cannot be stored as jsonb unchanged. */
export interface JsonbRefusal {
  readonly path: string;
  readonly reason: string;
}

/** Deeper values would overflow the stack here or in a consumer. */
const DEPTH_MAX = 100;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Turns a value into JSON text, or names the first part that JSON or jsonb would refuse or change without a word:
 * `undefined`, NaN, bigint, dates and other instances of classes, NUL characters, lone surrogates, cycles.
 */
export function toJsonbText(value: unknown, name: string): JsonbText | JsonbRefusal {
  const scan = new JsonScan();
  scan.visit(value, name, 0);
  if (scan.refusal !== null) {
    return scan.refusal;
  }
  const text = JSON.stringify(value);
  return { text, printedBytes: Buffer.byteLength(text) + scan.extraBytes };
}

/** Why a text cannot be stored by PostgreSQL, or null. */
export function refuseText(text: string): string | null {
  if (text.includes('\u0000')) {
    return 'holds a NUL character, which PostgreSQL cannot store: remove it';
  }
  return LONE_SURROGATE.test(text)
    ? 'holds half of a surrogate pair, which is no valid Unicode: repair the text'
    : null;
}

class JsonScan {
  refusal: JsonbRefusal | null = null;
  extraBytes = 0;

  visit(value: unknown, path: string, depth: number): void {
    if (this.refusal !== null || value === null || typeof value === 'boolean') {
      return;
    }
    if (typeof value === 'string') {
      this.refuse(path, refuseText(value));
    } else if (typeof value === 'number') {
      this.visitNumber(value, path);
    } else if (typeof value === 'object') {
      this.visitObject(value, path, depth);
    } else if (value === undefined) {
      this.refuse(path, 'is undefined, which JSON drops: leave the field out or use null');
    } else {
      this.refuse(path, `is a ${typeof value}, which JSON cannot hold: use text`);
    }
  }

  private visitNumber(value: number, path: string): void {
    if (!Number.isFinite(value)) {
      this.refuse(path, 'is NaN or infinite, which JSON cannot hold: use null or text');
      return;
    }
    const text = String(value);
    const exponentAt = text.indexOf('e');
    if (exponentAt !== -1) {
      this.extraBytes += Math.abs(Number(text.slice(exponentAt + 1))) + 2;
    }
  }

  private visitObject(value: object, path: string, depth: number): void {
    if (depth >= DEPTH_MAX) {
      this.refuse(path, `is nested deeper than ${DEPTH_MAX} levels or contains itself: make it flatter`);
    } else if (Array.isArray(value)) {
      this.visitArray(value, path, depth);
    } else if (isPlain(value)) {
      this.visitProperties(value, path, depth);
    } else {
      this.refuse(path, `is an instance of ${className(value)}, no plain object: convert it first`);
    }
  }

  private visitArray(items: readonly unknown[], path: string, depth: number): void {
    this.extraBytes += Math.max(0, items.length - 1);
    for (let n = 0; n < items.length; n++) {
      this.visit(items[n], `${path}[${n}]`, depth + 1);
    }
  }

  private visitProperties(value: object, path: string, depth: number): void {
    const entries = Object.entries(value);
    this.extraBytes += Math.max(0, entries.length * 2 - 1);
    for (const [name, item] of entries) {
      this.refuse(`${path}, a field name`, refuseText(name));
      this.visit(item, `${path}.${name}`, depth + 1);
    }
  }

  private refuse(path: string, reason: string | null): void {
    if (reason !== null) {
      this.refusal ??= { path, reason };
    }
  }
}

/** Also true for an object of another realm, as test runners make them. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || (typeof prototype === 'object' && Object.getPrototypeOf(prototype) === null);
}

function className(value: object): string {
  return value.constructor.name || 'a class';
}
