/** JSON text for a jsonb column, and how many bytes PostgreSQL will print for it. */
export interface JsonbText {
  readonly text: string;
  /** Bytes of `payload::text`: jsonb prints a blank after each colon and comma, and numbers without exponent. */
  readonly printedBytes: number;
}

/** Why a value cannot be stored as jsonb unchanged. */
export interface JsonbRefusal {
  /** Names and indices below the value. They may be data, so what is told of them is the caller's to decide. */
  readonly path: readonly (string | number)[];
  readonly reason: string;
}

/** Deeper values would overflow the stack here or in a consumer. */
const DEPTH_MAX = 100;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Turns a value into JSON text, or names the first part that JSON or jsonb would refuse or change without a word:
 * `undefined`, NaN, bigint, dates and other instances of classes, NUL characters, lone surrogates, cycles.
 */
export function toJsonbText(value: unknown): JsonbText | JsonbRefusal {
  const scan = new JsonScan();
  scan.visit(value);
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
  private readonly path: (string | number)[] = [];

  visit(value: unknown): void {
    if (this.refusal !== null || value === null || typeof value === 'boolean') {
      return;
    }
    if (typeof value === 'string') {
      this.refuse(refuseText(value));
    } else if (typeof value === 'number') {
      this.visitNumber(value);
    } else if (typeof value === 'object') {
      this.visitObject(value);
    } else if (value === undefined) {
      this.refuse('is undefined, which JSON drops: leave the field out or use null');
    } else {
      this.refuse(`is a ${typeof value}, which JSON cannot hold: use text`);
    }
  }

  private visitNumber(value: number): void {
    if (!Number.isFinite(value)) {
      this.refuse('is NaN or infinite, which JSON cannot hold: use null or text');
      return;
    }
    const text = String(value);
    const exponentAt = text.indexOf('e');
    if (exponentAt !== -1) {
      this.extraBytes += Math.abs(Number(text.slice(exponentAt + 1))) + 2;
    }
  }

  private visitObject(value: object): void {
    if (this.path.length >= DEPTH_MAX) {
      this.refuse(`is nested deeper than ${DEPTH_MAX} levels or contains itself: make it flatter`);
    } else if (Array.isArray(value)) {
      this.visitArray(value);
    } else if (isPlain(value)) {
      this.visitProperties(value);
    } else {
      this.refuse(`is an instance of ${className(value)}, no plain object: convert it first`);
    }
  }

  private visitArray(items: readonly unknown[]): void {
    this.extraBytes += Math.max(0, items.length - 1);
    for (let n = 0; n < items.length; n++) {
      this.visitPart(n, items[n]);
    }
  }

  private visitProperties(value: object): void {
    const entries = Object.entries(value);
    this.extraBytes += Math.max(0, entries.length * 2 - 1);
    for (const [name, item] of entries) {
      const reason = refuseText(name);
      this.refuse(reason === null ? null : `has a field whose name ${reason}`);
      this.visitPart(name, item);
    }
  }

  private visitPart(name: string | number, part: unknown): void {
    this.path.push(name);
    this.visit(part);
    this.path.pop();
  }

  private refuse(reason: string | null): void {
    if (reason !== null) {
      this.refusal ??= { path: [...this.path], reason };
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
