import { type z } from 'zod';
import { type ConfigProblem, isMapping, kindOf, pathText, valueAt } from './config-problem.js';
import { type ConfigFile, configSchema } from './config-schema.js';

/** The checked configuration, or everything that is wrong with it. */
export type ConfigCheck =
  | { readonly kind: 'valid'; readonly file: ConfigFile }
  | { readonly kind: 'invalid'; readonly problems: readonly ConfigProblem[] };

/** Checks what a file (or the environment, in the same form) says; finds all problems at once. */
export function checkConfig(value: unknown): ConfigCheck {
  const parsed = configSchema.safeParse(value);
  const problems = [
    ...(parsed.success ? [] : parsed.error.issues.flatMap((issue) => problemsOf(issue, value))),
    ...unknownNames(value),
    ...unusedOrEmpty(value),
  ];
  return parsed.success && problems.length === 0 ? { kind: 'valid', file: parsed.data } : { kind: 'invalid', problems };
}

function problemsOf(issue: z.core.$ZodIssue, root: unknown): readonly ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: pathText([...issue.path, key]),
      message: `unknown key; ${issue.message}`,
    }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path: pathText(issue.path), message: `a name that cannot be used; ${issue.message}` }];
  }
  return [{ path: pathText(issue.path), message: `${kindOf(valueAt(root, issue.path))}; ${issue.message}` }];
}

/** Routes that name a source or a sink that is not there; told even when other things are wrong, too. */
function unknownNames(root: unknown): readonly ConfigProblem[] {
  return entriesAt(root, 'routes').flatMap(([name, route]) =>
    (['source', 'sink'] as const).flatMap((end) => {
      const wanted = valueAt(route, [end]);
      const known = entriesAt(root, `${end}s`).map(([key]) => key);
      return typeof wanted !== 'string' || known.includes(wanted)
        ? []
        : [{ path: pathText(['routes', name, end]), message: `names no ${end} of this file; ${choice(known)}` }];
    }),
  );
}

function unusedOrEmpty(root: unknown): readonly ConfigProblem[] {
  return ['sources', 'sinks', 'routes'].flatMap((section) => {
    const value = valueAt(root, [section]);
    return isMapping(value) && Object.keys(value).length === 0
      ? [{ path: section, message: 'an empty mapping; name at least one' }]
      : [];
  });
}

function entriesAt(root: unknown, section: string): readonly (readonly [string, unknown])[] {
  const value = valueAt(root, [section]);
  return isMapping(value) ? Object.entries(value) : [];
}

function choice(known: readonly string[]): string {
  return known.length === 0 ? 'describe one first' : `give one of: ${known.join(', ')}`;
}
