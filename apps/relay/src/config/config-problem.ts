/** One thing that is wrong with the configuration: where, what kind of value stands there, and what to do. */
export interface ConfigProblem {
  /** The YAML path (`routes.order.topic`) or the name of an environment variable. */
  readonly path: string;
  readonly message: string;
}

/** The line that is printed for a problem. */
export function problemLine({ path, message }: ConfigProblem): string {
  return `${path}: ${message}`;
}

/** A path as one writes it: `sources.order.databaseUrl`, `sinks.main.brokers[1]`. */
export function pathText(path: readonly PropertyKey[]): string {
  const text = path.reduce<string>(
    (soFar, part) => (typeof part === 'number' ? `${soFar}[${part}]` : `${soFar}.${printable(String(part))}`),
    '',
  );
  return text === '' ? '(the whole file)' : text.replace(/^\./, '');
}

/** What a value is, without telling the value: it may be a secret in the wrong place. */
export function kindOf(value: unknown): string {
  if (value === undefined) {
    return 'missing';
  }
  if (value === null) {
    return 'empty';
  }
  if (typeof value === 'string') {
    return value === '' ? 'an empty text' : `a text of ${value.length} characters`;
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  }
  if (typeof value === 'number') {
    return Number.isInteger(value) ? 'a whole number' : 'a fraction';
  }
  return typeof value === 'boolean' ? 'true or false' : 'a mapping';
}

/** The value found at a path, undefined where the path ends early. */
export function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, part) => {
    // a list may have been written as one text with commas: the text is then the value of each of its items
    const isItemOfText = typeof value === 'string' && typeof part === 'number';
    return isItemOfText ? value : isMapping(value) ? value[String(part)] : undefined;
  }, root);
}

/** True for a YAML mapping or list, as read. */
export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Keys come from the file: no control characters into a terminal, no page-long key. */
function printable(key: string): string {
  const safe = key.replace(/[^\x20-\x7e]/g, '?');
  return safe.length <= 64 ? safe : `${safe.slice(0, 61)}...`;
}
