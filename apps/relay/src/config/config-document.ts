import { parseDocument, visit } from 'yaml';
import { type ConfigProblem, isMapping, pathText } from './config-problem.js';

/** Environment variables as the process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a file said, with the environment's values in place. */
export interface ConfigDocument {
  readonly value: unknown;
  readonly problems: readonly ConfigProblem[];
}

const REFERENCE = /\$\{([^{}\n]*)\}/g;
/*
 * `{ databaseUrl: ${ORDER_DATABASE_URL} }` is not YAML: inside braces a brace ends a plain value. So each reference is
 * turned, length for length, into characters of Unicode's private use before the parse, and back into its value after
 * it: a value can hold anything and still can't change the structure of the file.
 */
const OPEN = '\u{E000}$';
const CLOSE = '\u{E001}';
const MARKED = /\u{E000}\$([^\u{E001}]*)\u{E001}/gu;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Reads YAML 1.2 with `${NAME}` from the environment. Tells all problems at once and no value. */
export function readConfigDocument(text: string, environment: Environment): ConfigDocument {
  const document = parseDocument(
    text.replace(REFERENCE, (_all, reference: string) => OPEN + reference + CLOSE),
    { prettyErrors: true },
  );
  const syntax = document.errors.map((error) => ({
    path: `line ${error.linePos?.[0].line ?? 1}, column ${error.linePos?.[0].col ?? 1}`,
    message: `not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')}); correct the file here or just before`,
  }));
  if (syntax.length > 0) {
    return { value: undefined, problems: syntax };
  }
  const aliases: unknown[] = [];
  visit(document, { Alias: (_key, alias) => void aliases.push(alias) });
  if (aliases.length > 0) {
    return {
      value: undefined,
      problems: [{ path: '(the whole file)', message: 'has a YAML alias (*name); give the value itself' }],
    };
  }
  const problems: ConfigProblem[] = [];
  const value = resolve(document.toJS(), [], (reference, path) => {
    const found = NAME.test(reference) ? environment[reference] : undefined;
    if (found === undefined || found === '') {
      problems.push({ path: pathText(path), message: missing(reference) });
    }
    return found ?? '';
  });
  return { value, problems };
}

type Lookup = (reference: string, path: readonly PropertyKey[]) => string;

function resolve(value: unknown, path: readonly PropertyKey[], lookup: Lookup): unknown {
  if (typeof value === 'string') {
    return value.replace(MARKED, (_all, reference: string) =>
      isReplacement(path) ? `\${${reference}}` : lookup(reference, path),
    );
  }
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => resolve(item, [...path, index], lookup));
  }
  if (isMapping(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const written = key.replace(MARKED, (_all, reference: string) => `\${${reference}}`);
        return [written, resolve(item, [...path, written], lookup)];
      }),
    );
  }
  return value;
}

/** There `${name}` is a group of the regular expression, as Debezium writes it. */
function isReplacement([section, , setting, part]: readonly PropertyKey[]): boolean {
  return section === 'routes' && setting === 'topic' && part === 'replacement';
}

function missing(reference: string): string {
  return NAME.test(reference)
    ? `takes its value from the environment variable ${reference}, which is not set; set it`
    : 'has a reference ${...} that is not the name of an environment variable; give ${NAME}';
}
