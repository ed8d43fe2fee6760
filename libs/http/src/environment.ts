import { z } from 'zod';

import { StartError } from './http.errors.js';
import { LOG_LEVELS, type LogLevelName } from './request-log.js';

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A rule over several variables: the line to print when it is broken. Never the value of a secret. */
export type EnvironmentRule = (environment: Environment) => string | undefined;

/** One optional variable: text or nothing in, a value out. */
type Variable<T> = z.ZodType<T, string | undefined>;

/** The variables that every HTTP app of the workspace reads. */
export interface HttpVariables {
  readonly PORT: Variable<number>;
  readonly HOST: Variable<string>;
  readonly LOG_LEVEL: Variable<LogLevelName>;
  readonly MILLRACE_TRUST_PROXY: Variable<boolean>;
  readonly MILLRACE_TLS_CERT_FILE: Variable<string | undefined>;
  readonly MILLRACE_TLS_KEY_FILE: Variable<string | undefined>;
}

/** What `HttpVariables` become; `listen` takes its address from here. */
export type HttpEnvironment = { readonly [Name in keyof HttpVariables]: z.infer<HttpVariables[Name]> };

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);

/** `true` or `false`, nothing else; the default when it is not set. */
function flag(byDefault: boolean): Variable<boolean> {
  return z
    .enum(['true', 'false'], 'give true or false')
    .default(byDefault ? 'true' : 'false')
    .transform((text) => text === 'true');
}

/** A decimal whole number between two bounds, both allowed; the default when it is not set. */
export function wholeNumber(bounds: {
  readonly min: number;
  readonly max: number;
  readonly byDefault: number;
}): Variable<number> {
  const message = `give a whole number from ${bounds.min} to ${bounds.max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .pipe(z.number().min(bounds.min, message).max(bounds.max, message))
    .default(bounds.byDefault);
}

/** A PostgreSQL URL that names a host and a database. Its password never appears in a message. */
export function postgresUrl(): z.ZodType<string, string> {
  const message = 'give a PostgreSQL URL with a database, such as postgres://user:password@127.0.0.1:5432/orders';
  return z.string(message).refine(isPostgresUrl, message);
}

function isPostgresUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.pathname.length > 1;
}

/** The schemas of the variables that every HTTP app reads, to be spread into its own; `port` is its default. */
export function httpVariables(port: number): HttpVariables {
  return {
    PORT: wholeNumber({ min: 0, max: 65_535, byDefault: port }),
    HOST: z
      .string()
      .regex(/^[\w.:-]+$/, 'give an IP address or a host name')
      .default('127.0.0.1'),
    LOG_LEVEL: z.enum(LOG_LEVELS, `give one of ${LOG_LEVELS.join(', ')}`).default('info'),
    MILLRACE_TRUST_PROXY: flag(false),
    MILLRACE_TLS_CERT_FILE: z.string().optional(),
    MILLRACE_TLS_KEY_FILE: z.string().optional(),
  };
}

function refuseHalfTls(environment: Environment): string | undefined {
  return (environment['MILLRACE_TLS_CERT_FILE'] === undefined) === (environment['MILLRACE_TLS_KEY_FILE'] === undefined)
    ? undefined
    : 'MILLRACE_TLS_CERT_FILE and MILLRACE_TLS_KEY_FILE go together: set both or neither';
}

function refuseOpenAddress(environment: Environment): string | undefined {
  return LOOPBACK.has(environment['HOST'] ?? '127.0.0.1') ||
    environment['MILLRACE_TLS_CERT_FILE'] !== undefined ||
    environment['MILLRACE_TRUST_PROXY'] === 'true'
    ? undefined
    : 'HOST is an address that others can reach: keep it at 127.0.0.1, or set MILLRACE_TLS_CERT_FILE and ' +
        'MILLRACE_TLS_KEY_FILE, or set MILLRACE_TRUST_PROXY=true when a proxy in front ends TLS';
}

/** An app that others can reach speaks TLS, itself or by the proxy in front of it; half a TLS setting is a mistake. */
export const HTTP_RULES: readonly EnvironmentRule[] = [refuseHalfTls, refuseOpenAddress];

/**
 * Parses the variables of a process once. An empty variable counts as not set, as compose files write it. Throws
 * `StartError` with one line per problem, all at once: the variable's name, whether it is missing or wrong, and what to
 * give. Values are never repeated, they may be secrets.
 */
export function readEnvironment<S extends z.ZodObject>(
  schema: S,
  environment: Environment,
  rules: readonly EnvironmentRule[] = [],
): z.infer<S> {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const result = schema.safeParse(present);
  const problems = [
    ...(result.error?.issues ?? []).map((issue) => problemOf(issue, present)),
    ...rules.map((rule) => rule(present)).filter((problem) => problem !== undefined),
  ];
  if (!result.success || problems.length > 0) {
    throw new StartError([...new Set(problems)]);
  }
  return result.data;
}

function problemOf(issue: z.core.$ZodIssue, environment: Environment): string {
  const name = String(issue.path[0] ?? 'the environment');
  return `${name} is ${environment[name] === undefined ? 'not set' : 'not valid'}: ${issue.message}`;
}
