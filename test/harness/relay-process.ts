import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CaptureMode } from '@millrace/capture';
import { LinkedProcess } from './linked-process.js';

/** The Kafka clients that a relay can be built on. */
export const KAFKA_CLIENTS = ['platformatic', 'kafkajs'] as const;
export type KafkaClient = (typeof KAFKA_CLIENTS)[number];

/** A route of a relay under test. */
export interface RelayRoute {
  readonly name: string;
  readonly topic: string;
  /** `main` when left out. */
  readonly source?: string;
  /** More settings, as in its configuration. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** One that names its topics by Debezium's settings. */
export interface ReplacedRoute extends Omit<RelayRoute, 'topic'> {
  readonly topic: Readonly<Record<string, string>>;
}

/** How a relay process is run. */
export interface RelayProcessOptions {
  /** Its configuration is written to `<file>.yaml` and its output appended to `<file>.log`. */
  readonly file: string;
  /** Of the source `main`. */
  readonly databaseUrl: string;
  /** Databases of more sources, by name. */
  readonly otherSources?: Readonly<Record<string, string>> | undefined;
  readonly brokers: readonly string[];
  readonly client: KafkaClient;
  /** More settings of the sink, as in its configuration; all of them where they name a `kind`, and then there are no brokers. */
  readonly sink?: Readonly<Record<string, unknown>> | undefined;
  readonly port: number;
  readonly routes: readonly (RelayRoute | ReplacedRoute)[];
  /** How it learns of new rows, of all sources; as it does by itself when left out. */
  readonly capture?: CaptureMode | undefined;
  /** The relay's program; that of the build when left out. */
  readonly main?: string | undefined;
  /** Arguments for Node, such as `--import`. */
  readonly nodeArguments?: readonly string[] | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Is given each line that the process writes to its file descriptor 3, which a preloaded module may do. */
  readonly onLine?: ((line: string) => void) | undefined;
}

const ADMIN_TOKEN = 'a-token-of-the-fault-and-bench-runs';
const ADMIN_TIMEOUT_MS = 5_000;
const MAIN = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'apps', 'relay', 'main.js');

/** One run of the relay as users run it: `dist/apps/relay/main.js`. It ends with the process that started it. */
export class RelayProcess extends LinkedProcess {
  constructor(readonly options: RelayProcessOptions) {
    const { main = MAIN, file, client, port, nodeArguments, onLine } = options;
    writeFileSync(`${file}.yaml`, configurationOf(options));
    super({
      main,
      file,
      nodeArguments,
      onLine,
      environment: {
        PORT: String(port),
        MILLRACE_CONFIG: `${file}.yaml`,
        MILLRACE_KAFKA_CLIENT: client,
        MILLRACE_ADMIN_TOKEN: ADMIN_TOKEN,
        ...options.environment,
      },
    });
  }

  /** Whether the relay says that it is ready; false while it does not answer. */
  async isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.options.port}/health/ready`);
      return answer.ok;
    } catch {
      return false; // it does not listen yet, or not any more
    }
  }

  /**
   * Asks the admin API, for example `GET` `routes` or `POST` `routes/main/pause`, and returns the parsed body. Rejects
   * while it does not answer, and when it refuses.
   */
  async admin(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(`http://127.0.0.1:${this.options.port}/admin/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ADMIN_TIMEOUT_MS),
    });
    const text = await answer.text();
    if (!answer.ok) {
      throw new Error(`${method} ${path} was answered with ${answer.status}: ${text}`);
    }
    return text === '' ? undefined : JSON.parse(text);
  }

  /** The value of a metric with its labels summed up; `undefined` when it has no such metric or does not answer. */
  async metric(name: string): Promise<number | undefined> {
    let text: string;
    try {
      const answer = await fetch(`http://127.0.0.1:${this.options.port}/metrics`);
      text = await answer.text();
    } catch {
      return undefined; // it does not listen yet, or not any more
    }
    const values = text
      .split('\n')
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
  }
}

/** YAML is a superset of JSON. */
function configurationOf({ databaseUrl, otherSources, capture, brokers, routes, sink }: RelayProcessOptions): string {
  const sources = Object.entries({ main: databaseUrl, ...otherSources });
  const kafka = { kind: 'kafka', brokers, topics: { create: false }, ...sink };
  return JSON.stringify({
    version: 1,
    sources: Object.fromEntries(sources.map(([name, url]) => [name, { databaseUrl: url, capture }])),
    sinks: { main: sink?.['kind'] === undefined ? kafka : sink },
    routes: Object.fromEntries(
      routes.map(({ name, topic, source = 'main', settings }) => [name, { source, sink: 'main', topic, ...settings }]),
    ),
  });
}
