import { readFileSync } from 'node:fs';
import { CAPTURE_MODES } from '@millrace/capture';
import {
  type Environment,
  HTTP_RULES,
  type HttpEnvironment,
  httpVariables,
  postgresUrl,
  readEnvironment,
  StartError,
} from '@millrace/http';
import { KAFKA_CLIENTS, parseKafkaEnv } from '@millrace/transport';
import { z } from 'zod';
import { checkConfig } from './config/config-check.js';
import { readConfigDocument } from './config/config-document.js';
import { isMapping, problemLine } from './config/config-problem.js';
import { type ConfigFile } from './config/config-schema.js';
import { oneOf } from './config/config-values.js';
import {
  RETENTION_RULES,
  RETENTION_VARIABLES,
  retentionOfEnvironment,
  type RetentionVariables,
} from './config/retention-schema.js';
import { type RelayConfig } from './config/relay-config.js';
import { type ConfigDefaults, relayConfigOfEnvironment, relayConfigOfFile } from './config/to-relay-config.js';

const DEFAULT_PORT = 3000;
const FILE_BYTES_MAX = 1024 * 1024;
const TOKEN = 'give at least 16 letters, digits or -._~+/, such as the output of: openssl rand -hex 32';

/** All that the process is told at its start. Holds secrets: never to be logged as a whole. */
export interface RelaySettings {
  readonly http: HttpEnvironment;
  readonly relay: RelayConfig;
  /** The first admin's token; one is made where none is given. */
  readonly adminToken: string | undefined;
}

/** The variables of the relay beside those of every HTTP app and Kafka's. */
export const RELAY_VARIABLES = {
  MILLRACE_CONFIG: z.string().optional(),
  MILLRACE_CAPTURE: oneOf(CAPTURE_MODES).default('polling'),
  MILLRACE_KAFKA_CLIENT: oneOf(KAFKA_CLIENTS).default('platformatic'),
  MILLRACE_ADMIN_TOKEN: z
    .string()
    .regex(/^[\w\-.~+/]{16,}=*$/, TOKEN)
    .optional(),
  ...RETENTION_VARIABLES,
};

const RULES = [...HTTP_RULES, ...RETENTION_RULES];

/**
 * Reads the environment, and the YAML file that `MILLRACE_CONFIG` names. Throws `StartError` with one line per
 * problem of both, all at once: where, the kind of value that stands there, what to give. Never a value of a secret.
 */
export function readRelaySettings(environment: Environment = process.env): RelaySettings {
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  return isSet('MILLRACE_CONFIG')
    ? readWithFile(environment, environment['MILLRACE_CONFIG'] ?? '')
    : readWithout(environment);
}

function readWithFile(environment: Environment, path: string): RelaySettings {
  const file = attempt(() => readConfigFile(path, environment));
  const port = file.kind === 'done' ? file.value.admin?.port : undefined;
  const variables = attempt(() =>
    readEnvironment(z.object({ ...httpVariables(port ?? DEFAULT_PORT), ...RELAY_VARIABLES }), environment, RULES),
  );
  if (file.kind === 'failed' || variables.kind === 'failed') {
    throw new StartError([...problemsOf(variables), ...problemsOf(file)]);
  }
  return settingsOf(variables.value, (defaults) => relayConfigOfFile(file.value, defaults));
}

function readWithout(environment: Environment): RelaySettings {
  const schema = z.object({ ...httpVariables(DEFAULT_PORT), ...RELAY_VARIABLES, DATABASE_URL: postgresUrl() });
  const variables = attempt(() => readEnvironment(schema, environment, RULES));
  const kafka = parseKafkaEnv(environment);
  if (kafka.kind === 'invalid' || variables.kind === 'failed') {
    throw new StartError([...problemsOf(variables), ...(kafka.kind === 'invalid' ? kafka.problems : [])]);
  }
  const { DATABASE_URL: databaseUrl } = variables.value;
  return settingsOf(variables.value, (defaults) =>
    relayConfigOfEnvironment({ ...defaults, databaseUrl, connection: kafka.connection }),
  );
}

function settingsOf(
  variables: HttpEnvironment &
    RetentionVariables & {
      readonly MILLRACE_CAPTURE: ConfigDefaults['capture'];
      readonly MILLRACE_KAFKA_CLIENT: ConfigDefaults['client'];
      readonly MILLRACE_ADMIN_TOKEN?: string | undefined;
    },
  relay: (defaults: ConfigDefaults) => RelayConfig,
): RelaySettings {
  return {
    http: variables,
    relay: relay({
      capture: variables.MILLRACE_CAPTURE,
      client: variables.MILLRACE_KAFKA_CLIENT,
      retention: retentionOfEnvironment(variables),
    }),
    adminToken: variables.MILLRACE_ADMIN_TOKEN,
  };
}

function readConfigFile(path: string, environment: Environment): ConfigFile {
  const document = readConfigDocument(readText(path), environment);
  const told = new Set(document.problems.map((problem) => problem.path));
  const check = checkConfig(document.value);
  if (check.kind === 'valid' && document.problems.length === 0) {
    return check.file;
  }
  const further = check.kind === 'valid' || document.value === undefined ? [] : check.problems;
  const problems = [...document.problems, ...further.filter((problem) => !told.has(problem.path))];
  throw new StartError(problems.map((problem) => `${path}: ${problemLine(problem)}`));
}

function readText(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const code = isMapping(cause) && typeof cause['code'] === 'string' ? ` (${cause['code']})` : '';
    throw new StartError([`MILLRACE_CONFIG names a file that can't be read${code}: give the path of a YAML file`], {
      cause,
    });
  }
  if (text.length > FILE_BYTES_MAX) {
    throw new StartError(['MILLRACE_CONFIG names a file of more than 1 MiB: give the path of a YAML file']);
  }
  return text;
}

type Attempt<T> =
  { readonly kind: 'done'; readonly value: T } | { readonly kind: 'failed'; readonly problems: readonly string[] };

function attempt<T>(read: () => T): Attempt<T> {
  try {
    return { kind: 'done', value: read() };
  } catch (error) {
    if (error instanceof StartError) {
      return { kind: 'failed', problems: error.problems };
    }
    throw error;
  }
}

function problemsOf(attempted: Attempt<unknown>): readonly string[] {
  return attempted.kind === 'failed' ? attempted.problems : [];
}
