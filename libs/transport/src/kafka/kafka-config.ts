/** The Kafka clients that a sink can be built on. */
export const KAFKA_CLIENTS = ['platformatic', 'kafkajs'] as const;
export type KafkaClientName = (typeof KAFKA_CLIENTS)[number];

/** TLS to the brokers. Paths of PEM files; without `caPath` the certificate authorities of Node are trusted. */
export interface KafkaTls {
  readonly caPath?: string;
  readonly certPath?: string;
  readonly keyPath?: string;
  /** False accepts any certificate: for a try on one's own machine only. Default true. */
  readonly rejectUnauthorized?: boolean;
}

export const KAFKA_SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const;
export type KafkaSaslMechanism = (typeof KAFKA_SASL_MECHANISMS)[number];

/**
 * Who we are to the brokers. A token that expires is a file that somebody else renews, or a function: it is read, or
 * asked, at each connection, and again before a broker's session ends.
 */
export type KafkaSasl =
  | {
      readonly mechanism: Exclude<KafkaSaslMechanism, 'OAUTHBEARER'>;
      readonly username: string;
      readonly password: string;
    }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: string | (() => Promise<string>) }
  | { readonly mechanism: 'OAUTHBEARER'; readonly tokenPath: string };

/** How to reach a cluster. */
export interface KafkaConnection {
  /** `host:port` of every broker, or of some; the order is turned at random per instance. */
  readonly brokers: readonly string[];
  readonly tls?: KafkaTls;
  readonly sasl?: KafkaSasl;
}

/**
 * Makes a topic that is missing, with these settings (by Kafka's names); one that is there is taken as it is. Or demands
 * that somebody made it, and, where a number of partitions is given, with that number.
 *
 * With `refuseOlderThanMs` the brokers refuse a record of a topic that was made so when its send began longer ago than
 * this, by their clocks: a copy that was held up on its way, or in a process that stood still, comes then at the latest.
 * The clocks must agree within it. At least twice `requestTimeoutMs`, at most a day; not beside `message.timestamp.*` in
 * `settings`.
 */
export type KafkaTopicPolicy =
  | {
      readonly create: true;
      readonly partitions: number;
      readonly replication: number;
      readonly settings?: Readonly<Record<string, string>>;
      readonly refuseOlderThanMs?: number;
    }
  | { readonly create: false; readonly partitions?: number };

/** How the records of a batch are compressed; limits count what is not compressed. */
export const KAFKA_COMPRESSIONS = ['none', 'gzip', 'zstd', 'lz4', 'snappy'] as const;
export type KafkaCompression = (typeof KAFKA_COMPRESSIONS)[number];

/** What `createKafkaSink` takes. Times in milliseconds. */
export interface KafkaSinkOptions {
  readonly client: KafkaClientName;
  readonly connection: KafkaConnection;
  readonly topics: KafkaTopicPolicy;
  /** Shown in the brokers' logs and quotas. Default `millrace`. */
  readonly clientId?: string;
  /** Largest record and largest batch, by `recordBytes`; at most the brokers' `message.max.bytes`. Default 1,000,000. */
  readonly messageBytesMax?: number;
  /** Default 1,000; kafkajs groups a batch in quadratic time, so stay below 2,000 there. */
  readonly batchRecordsMax?: number;
  /** lz4 and snappy on `platformatic` only, and in one step each. Default `none`. */
  readonly compression?: KafkaCompression;
  /** The brokers store a batch that is sent again once. Default true on `platformatic`; `kafkajs` cannot. */
  readonly idempotent?: boolean;
  /** How old the partition count of a topic may be before it is looked at again. Default 300,000. */
  readonly metadataMaxAgeMs?: number;
  /** One request's answer. The broker's own limit for the replicas is 2 s less. Default 9,000. */
  readonly requestTimeoutMs?: number;
  /** One send, or one opening of a topic, whatever the client does: then the client is thrown away. Default 60,000. */
  readonly sendDeadlineMs?: number;
  /** How long `stop` waits for sends in flight. Default 10,000. */
  readonly drainMs?: number;
}

/** What an environment says about Kafka: the connection, or every problem at once. */
export type KafkaEnvironment =
  | { readonly kind: 'valid'; readonly connection: KafkaConnection }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads `KAFKA_BROKERS`, `KAFKA_SSL*` and `KAFKA_SASL_*` from a set of variables; pure, nothing is opened.
 * An empty variable counts as not set. Each problem is a sentence that names the variable and what to do; values of
 * secrets never appear in one.
 */
export function parseKafkaEnv(env: Environment): KafkaEnvironment {
  const problems: string[] = [];
  const brokers = parseBrokers(env, problems);
  const tls = parseTls(env, problems);
  const sasl = parseSasl(env, problems);
  if (problems.length > 0) {
    return { kind: 'invalid', problems };
  }
  return { kind: 'valid', connection: { brokers, ...(tls && { tls }), ...(sasl && { sasl }) } };
}

function parseBrokers(env: Environment, problems: string[]): readonly string[] {
  const text = env['KAFKA_BROKERS'];
  if (!text) {
    problems.push('KAFKA_BROKERS is not set: give the brokers as host:port, separated by commas.');
    return [];
  }
  const brokers = text
    .split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '');
  const isWrong = brokers.length === 0 || !brokers.every((broker) => isHostAndPort(broker));
  if (isWrong) {
    problems.push('KAFKA_BROKERS is not valid: give host:port, separated by commas, without a scheme.');
  }
  return brokers;
}

function isHostAndPort(broker: string): boolean {
  const port = Number(/^[^\s:/@]+:(\d{1,5})$/.exec(broker)?.[1]);
  return port >= 1 && port <= 65535;
}

function parseTls(env: Environment, problems: string[]): KafkaTls | undefined {
  const isOn = parseSwitch(env, 'KAFKA_SSL', problems) ?? false;
  const rejectUnauthorized = parseSwitch(env, 'KAFKA_SSL_REJECT_UNAUTHORIZED', problems);
  const { KAFKA_SSL_CA: caPath, KAFKA_SSL_CERT: certPath, KAFKA_SSL_KEY: keyPath } = env;
  if (!isOn) {
    const extra = ['KAFKA_SSL_CA', 'KAFKA_SSL_CERT', 'KAFKA_SSL_KEY', 'KAFKA_SSL_REJECT_UNAUTHORIZED'].filter(
      (name) => env[name],
    );
    if (extra.length > 0) {
      problems.push(`${extra.join(', ')} set without TLS: set KAFKA_SSL=true, or remove it.`);
    }
    return undefined;
  }
  if (Boolean(certPath) !== Boolean(keyPath)) {
    problems.push('KAFKA_SSL_CERT and KAFKA_SSL_KEY belong together: set both to the paths of PEM files, or neither.');
  }
  return {
    ...(caPath && { caPath }),
    ...(certPath && { certPath }),
    ...(keyPath && { keyPath }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
  };
}

function parseSwitch(env: Environment, name: string, problems: string[]): boolean | undefined {
  const text = env[name];
  if (!text) {
    return undefined;
  }
  if (text !== 'true' && text !== 'false') {
    problems.push(`${name} is not valid: set it to true or false.`);
  }
  return text === 'true';
}

const SASL_DETAILS = ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD', 'KAFKA_SASL_TOKEN', 'KAFKA_SASL_TOKEN_FILE'];

function parseSasl(env: Environment, problems: string[]): KafkaSasl | undefined {
  const mechanism = env['KAFKA_SASL_MECHANISM'];
  if (!mechanism) {
    const extra = SASL_DETAILS.filter((name) => env[name]);
    if (extra.length > 0) {
      problems.push(`${extra.join(', ')} set without KAFKA_SASL_MECHANISM: set it to one of ${mechanisms()}.`);
    }
    return undefined;
  }
  const known = KAFKA_SASL_MECHANISMS.find((name) => name === mechanism.toUpperCase());
  if (known === undefined) {
    problems.push(`KAFKA_SASL_MECHANISM is not valid: set it to one of ${mechanisms()}.`);
    return undefined;
  }
  if (known === 'OAUTHBEARER') {
    return parseToken(env, known, problems);
  }
  return {
    mechanism: known,
    username: demand(env, 'KAFKA_SASL_USERNAME', known, problems),
    password: demand(env, 'KAFKA_SASL_PASSWORD', known, problems),
  };
}

function parseToken(env: Environment, mechanism: 'OAUTHBEARER', problems: string[]): KafkaSasl {
  const { KAFKA_SASL_TOKEN_FILE: tokenPath } = env;
  if (!tokenPath) {
    return { mechanism, token: demand(env, 'KAFKA_SASL_TOKEN', mechanism, problems) };
  }
  if (env['KAFKA_SASL_TOKEN']) {
    problems.push('KAFKA_SASL_TOKEN and KAFKA_SASL_TOKEN_FILE are both set: give one of them.');
  }
  return { mechanism, tokenPath };
}

function demand(env: Environment, name: string, mechanism: KafkaSaslMechanism, problems: string[]): string {
  const value = env[name];
  if (!value) {
    const orFile = name === 'KAFKA_SASL_TOKEN' ? ', or KAFKA_SASL_TOKEN_FILE' : '';
    problems.push(`${name} is not set: KAFKA_SASL_MECHANISM=${mechanism} needs it${orFile}.`);
  }
  return value ?? '';
}

function mechanisms(): string {
  return KAFKA_SASL_MECHANISMS.join(', ');
}
