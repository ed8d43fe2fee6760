import pg from 'pg';

const NAMED_MAX = 200;
const PLAN_OUTDATED = '0A000';

/** Of the process: connections come and go, and a name must mean one text in all of them. */
const names = new Map<string, string>();

/**
 * A client that prepares each statement with parameters under a name, so that a connection parses and plans it once:
 * with small statements that is most of the server's work. Only the first 200 texts of the process are named, as each
 * costs memory in every connection. A connection whose statements a migration has outdated is replaced.
 */
export class PreparingClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config);
    const send: unknown = Reflect.get(this, 'query');
    if (typeof send !== 'function') {
      throw new TypeError('This version of pg has a client without a method query.');
    }
    const query = (...given: unknown[]): unknown => {
      const answer: unknown = Reflect.apply(send, this, named(given));
      if (answer instanceof Promise) {
        answer.catch(this.#endIfOutdated);
      }
      return answer;
    };
    Object.assign(this, { query });
  }

  readonly #endIfOutdated = (error: unknown): void => {
    if (error instanceof pg.DatabaseError && error.code === PLAN_OUTDATED) {
      this.end().catch(() => undefined);
    }
  };
}

/** The arguments of `query` with a name where there can be one. */
function named(given: readonly unknown[]): readonly unknown[] {
  const [first, second, ...rest] = given;
  if (typeof first === 'string') {
    const name = hasValues(second) ? nameOf(first) : undefined;
    return name === undefined ? given : [{ name, text: first }, second, ...rest];
  }
  if (!isUnnamed(first)) {
    return given;
  }
  const name = nameOf(first.text);
  return name === undefined ? given : [{ ...first, name }, second, ...rest];
}

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= NAMED_MAX) {
    return known;
  }
  const name = `millrace_service_${names.size + 1}`;
  names.set(text, name);
  return name;
}

/** A statement in the driver's form: neither named already nor a query object, which brings its own behaviour. */
function isUnnamed(value: unknown): value is { readonly text: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'text' in value &&
    typeof value.text === 'string' &&
    'values' in value &&
    hasValues(value.values) &&
    !('name' in value) &&
    !('submit' in value)
  );
}

function hasValues(values: unknown): boolean {
  return Array.isArray(values) && values.length > 0;
}
