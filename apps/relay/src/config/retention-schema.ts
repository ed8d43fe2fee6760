import { byteCount, durationMs, retentionProblems } from '@millrace/capture';
import { type Environment, type EnvironmentRule } from '@millrace/http';
import { z } from 'zod';
import { mapping, text } from './config-values.js';
import { type RetentionConfig } from './relay-config.js';

const TIME = 'give a time such as 7d, 12h, 30m or 45s';
const SIZE = 'give a size such as 10GiB, 512MiB or 1TiB';
const DIRECTORY = 'give the path of a directory that is there';

/** A text that `read` takes; what it makes of it. */
function amount(read: (text: string) => number | null, error: string): z.ZodType<number, string> {
  return z.string({ error }).transform((given, context) => {
    const value = read(given);
    if (value === null) {
      context.addIssue({ code: 'custom', message: error });
      return z.NEVER;
    }
    return value;
  });
}

/** A time such as 7d, in milliseconds. */
export function time(): z.ZodType<number, string> {
  return amount(durationMs, TIME);
}

function bytesAboveNone(given: string): number | null {
  return byteCount(given) || null;
}

/** `sources.<name>.retention` of the file. */
export const retentionSchema = mapping({
  keep: time(),
  maxAge: time().optional(),
  maxBytes: amount(bytesAboveNone, SIZE).optional(),
  archive: mapping({ directory: text(DIRECTORY) }).optional(),
}).check(({ value, issues }) => {
  for (const problem of retentionProblems(policyOf(value))) {
    const [field = ''] = problem.split(' ');
    issues.push({ code: 'custom', input: value, path: [field], message: problem });
  }
});

/** What a checked `retention` of the file stands for. */
export function retentionOfFile(checked: z.infer<typeof retentionSchema>): RetentionConfig {
  return { policy: policyOf(checked), archiveDirectory: checked.archive?.directory ?? null };
}

/** The same by environment, for the sources that have no `retention` of their own. */
export const RETENTION_VARIABLES = {
  MILLRACE_RETENTION_KEEP: time().optional(),
  MILLRACE_RETENTION_MAX_AGE: time().optional(),
  MILLRACE_RETENTION_MAX_BYTES: amount(bytesAboveNone, SIZE).optional(),
  MILLRACE_RETENTION_ARCHIVE_DIR: z.string().optional(),
};

/** The values that the variables become. */
export type RetentionVariables = z.infer<z.ZodObject<typeof RETENTION_VARIABLES>>;

/** Rules over several of the variables. */
export const RETENTION_RULES: readonly EnvironmentRule[] = [refuseLimitsWithoutKeep, refuseLimitsThatContradict];

/** What the variables say; undefined when rows are kept for ever. */
export function retentionOfEnvironment(variables: RetentionVariables): RetentionConfig | undefined {
  const { MILLRACE_RETENTION_KEEP: keep, MILLRACE_RETENTION_ARCHIVE_DIR: directory } = variables;
  const { MILLRACE_RETENTION_MAX_AGE: maxAge, MILLRACE_RETENTION_MAX_BYTES: maxBytes } = variables;
  return keep === undefined
    ? undefined
    : { policy: policyOf({ keep, maxAge, maxBytes }), archiveDirectory: directory ?? null };
}

interface Limits {
  readonly keep: number;
  readonly maxAge?: number | undefined;
  readonly maxBytes?: number | undefined;
}

function policyOf({ keep, maxAge, maxBytes }: Limits): RetentionConfig['policy'] {
  return { keepMs: keep, maxAgeMs: maxAge ?? null, maxBytes: maxBytes ?? null };
}

function refuseLimitsWithoutKeep(environment: Environment): string | undefined {
  const others = Object.keys(RETENTION_VARIABLES).filter(
    (name) => name !== 'MILLRACE_RETENTION_KEEP' && environment[name] !== undefined,
  );
  return environment['MILLRACE_RETENTION_KEEP'] !== undefined || others.length === 0
    ? undefined
    : `MILLRACE_RETENTION_KEEP is not set, so rows are kept for ever: ${TIME}, or remove ${others.join(', ')}`;
}

function refuseLimitsThatContradict(environment: Environment): string | undefined {
  const keepMs = durationMs(environment['MILLRACE_RETENTION_KEEP'] ?? '');
  const maxAgeMs = durationMs(environment['MILLRACE_RETENTION_MAX_AGE'] ?? '');
  const [problem] = keepMs === null ? [] : retentionProblems({ keepMs, maxAgeMs, maxBytes: null });
  if (problem?.startsWith('keep ') === true) {
    return `MILLRACE_RETENTION_KEEP is not valid: ${problem}`;
  }
  return problem === undefined
    ? undefined
    : 'MILLRACE_RETENTION_MAX_AGE is below MILLRACE_RETENTION_KEEP, routes would expire before anything could be ' +
        'removed: give a longer time, or none';
}
