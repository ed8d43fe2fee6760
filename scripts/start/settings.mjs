import { join } from 'node:path';
import { CommandError } from '../setup/command-error.mjs';
import { LOCAL, ROOT } from '../setup/paths.mjs';

/** The services: each has a database of its own, its tables' migrations, and is a source of the relay. */
const SERVICES = [
  { name: 'order', port: 3001 },
  { name: 'inventory', port: 3002 },
  { name: 'payment', port: 3003 },
];

const RELAY_PORT = 3000;

/**
 * All that `npm start` is told by the environment. Throws, with one sentence, on what is not valid. Without brokers
 * `kafkaObstacle` tells why no Kafka can be started here; nothing is asked when `isWithoutKafka`.
 */
export function readSettings(environment, { isWithoutKafka = false, kafkaObstacle = () => undefined } = {}) {
  const port = (variable, byDefault) => ({ variable, port: readPort(environment, variable, byDefault) });
  const services = SERVICES.map(({ name, port: byDefault }) => ({
    name,
    ...port(`${name.toUpperCase()}_PORT`, byDefault),
    databaseVariable: `${name.toUpperCase()}_DATABASE_URL`,
    databaseUrl: optional(environment, `${name.toUpperCase()}_DATABASE_URL`),
  }));
  const given = isWithoutKafka ? undefined : brokers(environment);
  const absence = isWithoutKafka ? '--no-kafka was given' : given === undefined ? kafkaObstacle()?.problem : undefined;
  const config = absence === undefined ? 'millrace.yaml' : 'millrace.postgres.yaml';
  const settings = {
    services,
    relay: { name: 'relay', ...port('RELAY_PORT', RELAY_PORT) },
    postgres: { adminUrl: adminUrl(environment), ...port('POSTGRES_PORT', 54320), dataDir: join(LOCAL, 'postgres') },
    kafka: {
      brokers: given,
      absence,
      ...port('KAFKA_PORT', 9092),
      controller: port('KAFKA_CONTROLLER_PORT', 9093),
      dataDir: join(LOCAL, 'kafka', 'data'),
    },
    relayConfig: optional(environment, 'MILLRACE_CONFIG') ?? join(ROOT, config),
    isOwnConfig: optional(environment, 'MILLRACE_CONFIG') !== undefined,
  };
  requireDistinctPorts(wantedPorts(settings));
  return settings;
}

/** Whether a local PostgreSQL is needed: not when one is named, or every service has its database. */
export function needsPostgres({ postgres, services }) {
  return postgres.adminUrl === undefined && services.some((service) => service.databaseUrl === undefined);
}

/** Whether a local Kafka is needed: not when brokers are named, or events go without it. */
export function needsKafka({ kafka }) {
  return kafka.brokers === undefined && kafka.absence === undefined;
}

/** Every port that will be listened on, by whom, and the variable that changes it. */
export function wantedPorts(settings) {
  const { services, relay, postgres, kafka } = settings;
  return [
    ...(needsPostgres(settings) ? [{ who: 'PostgreSQL', ...portOf(postgres) }] : []),
    ...(needsKafka(settings)
      ? [
          { who: 'Kafka', ...portOf(kafka) },
          { who: "Kafka's controller", ...portOf(kafka.controller) },
        ]
      : []),
    ...[relay, ...services].map((app) => ({ who: `the ${app.name} app`, ...portOf(app) })),
  ];
}

function portOf({ port, variable }) {
  return { port, variable };
}

function readPort(environment, variable, byDefault) {
  const text = optional(environment, variable);
  const port = text === undefined ? byDefault : Number(text);
  if (!isPort(port)) {
    throw new CommandError(`${variable} is not a port: give a whole number from 1 to 65535.`);
  }
  return port;
}

function isPort(number) {
  return Number.isInteger(number) && number >= 1 && number <= 65_535;
}

function isHostAndPort(text) {
  return isPort(Number(/^[^\s:/@]+:(\d{1,5})$/.exec(text)?.[1]));
}

function requireDistinctPorts(wanted) {
  for (const { port } of wanted) {
    const variables = wanted.filter((other) => other.port === port).map(({ variable }) => variable);
    if (variables.length > 1) {
      throw new CommandError(`${variables.join(' and ')} have the same port, ${port}: give each one of its own.`);
    }
  }
}

function adminUrl(environment) {
  const text = optional(environment, 'POSTGRES_ADMIN_URL');
  if (text !== undefined && !(URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol))) {
    throw new CommandError(
      'POSTGRES_ADMIN_URL is not a PostgreSQL URL: give postgres://user:password@host:port/postgres.',
    );
  }
  return text;
}

/** As the relay reads them: host:port, separated by commas. */
function brokers(environment) {
  const text = optional(environment, 'KAFKA_BROKERS');
  if (text === undefined) {
    return undefined;
  }
  const given = text
    .split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '');
  if (given.length === 0 || !given.every(isHostAndPort)) {
    throw new CommandError('KAFKA_BROKERS is not valid: give host:port, separated by commas, without a scheme.');
  }
  return given.join(',');
}

/** An empty variable counts as not set, as compose files write it. */
function optional(environment, variable) {
  return environment[variable] === '' ? undefined : environment[variable];
}
