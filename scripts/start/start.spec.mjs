import { describe, expect, it } from '@jest/globals';
import { formatLine } from './app-output.mjs';
import { parseArguments } from './arguments.mjs';
import { removalNote } from './removal-note.mjs';
import { restartDelay } from './restart-delay.mjs';
import { needsPostgres, readSettings, wantedPorts } from './settings.mjs';
import { welcome } from './welcome.mjs';

const OWN_DATABASES = {
  ORDER_DATABASE_URL: 'postgres://a@b/o',
  INVENTORY_DATABASE_URL: 'postgres://a@b/i',
  PAYMENT_DATABASE_URL: 'postgres://a@b/p',
};

describe('a line of an app', () => {
  it('is printed with name, level, phrase and fields', () => {
    const line = JSON.stringify({ level: 30, time: 1, app: 'order', context: 'listen', port: 3001, msg: 'listening' });
    expect(formatLine('order', line)).toBe('order     info  listen: listening port=3001');
  });

  it('tells the causes of an error, without its stack', () => {
    const err = { type: 'Error', message: 'no answer', stack: 'at x', cause: { message: 'ECONNREFUSED' } };
    const line = JSON.stringify({ level: 50, msg: 'capture failed', err });
    expect(formatLine('relay', line)).toBe('relay     error capture failed (no answer; because: ECONNREFUSED)');
  });

  it.each(['DATABASE_URL is not set', '{ not json', '{"level":"info"}'])('is printed as it is: %s', (line) => {
    expect(formatLine('order', line)).toBe(`order     ${line}`);
  });

  it('is coloured by its level on a terminal', () => {
    expect(formatLine('order', '{"level":40,"msg":"slow"}', true)).toBe('\u001b[33morder     warn  slow\u001b[0m');
  });
});

describe('the arguments of npm start', () => {
  it('are --fresh, --no-kafka or nothing', () => {
    expect(parseArguments([])).toEqual({ isFresh: false, isHelp: false, isWithoutKafka: false });
    expect(parseArguments(['--fresh'])).toEqual({ isFresh: true, isHelp: false, isWithoutKafka: false });
    expect(parseArguments(['--no-kafka', '--fresh'])).toEqual({ isFresh: true, isHelp: false, isWithoutKafka: true });
    expect(() => parseArguments(['--clean'])).toThrow('npm start does not know --clean');
  });
});

describe('the settings of npm start', () => {
  it('have the well-known ports, each with the variable that changes it', () => {
    expect(wantedPorts(readSettings({ ORDER_PORT: '4001' }))).toEqual([
      { who: 'PostgreSQL', port: 54320, variable: 'POSTGRES_PORT' },
      { who: 'Kafka', port: 9092, variable: 'KAFKA_PORT' },
      { who: "Kafka's controller", port: 9093, variable: 'KAFKA_CONTROLLER_PORT' },
      { who: 'the relay app', port: 3000, variable: 'RELAY_PORT' },
      { who: 'the order app', port: 4001, variable: 'ORDER_PORT' },
      { who: 'the inventory app', port: 3002, variable: 'INVENTORY_PORT' },
      { who: 'the payment app', port: 3003, variable: 'PAYMENT_PORT' },
    ]);
  });

  it('leave out the servers that are given', () => {
    const settings = readSettings({ POSTGRES_ADMIN_URL: 'postgres://a@b/postgres', KAFKA_BROKERS: 'kafka:9092' });
    expect(needsPostgres(settings)).toBe(false);
    expect(wantedPorts(settings).map(({ port }) => port)).toEqual([3000, 3001, 3002, 3003]);
  });

  it('have no Kafka where none can be started, or none is wanted, and then another configuration of the relay', () => {
    const kafkaObstacle = () => ({ problem: 'Java was not found', remedy: 'install it' });
    const without = readSettings({}, { kafkaObstacle });
    expect(without.kafka.absence).toBe('Java was not found');
    expect(without.relayConfig).toMatch(/millrace\.postgres\.yaml$/);
    expect(wantedPorts(without).map(({ port }) => port)).toEqual([54320, 3000, 3001, 3002, 3003]);
    expect(readSettings({ KAFKA_BROKERS: 'a:9092' }, { isWithoutKafka: true }).kafka).toMatchObject({
      absence: '--no-kafka was given',
      brokers: undefined,
    });
  });

  it('ask for no obstacle where a Kafka is given', () => {
    const { kafka, relayConfig } = readSettings(
      { KAFKA_BROKERS: 'a:9092' },
      { kafkaObstacle: () => ({ problem: 'Java was not found', remedy: 'install it' }) },
    );
    expect(kafka.absence).toBeUndefined();
    expect(relayConfig).toMatch(/millrace\.yaml$/);
  });

  it('need no PostgreSQL when every service names its database', () => {
    expect(needsPostgres(readSettings(OWN_DATABASES))).toBe(false);
    expect(needsPostgres(readSettings({ ...OWN_DATABASES, PAYMENT_DATABASE_URL: '' }))).toBe(true);
  });

  it('take an empty variable for one that is not set', () => {
    expect(readSettings({ KAFKA_BROKERS: '', ORDER_PORT: '' })).toEqual(readSettings({}));
  });

  it('may have the port of a local server that is not started for an app', () => {
    expect(readSettings({ KAFKA_BROKERS: 'a:9092, b:9092,', ORDER_PORT: '9092' }).kafka.brokers).toBe('a:9092,b:9092');
  });

  it.each([
    [{ KAFKA_PORT: '70000' }, 'KAFKA_PORT is not a port: give a whole number from 1 to 65535.'],
    [{ ORDER_PORT: 'x' }, 'ORDER_PORT is not a port: give a whole number from 1 to 65535.'],
    [{ RELAY_PORT: '3001' }, 'RELAY_PORT and ORDER_PORT have the same port, 3001: give each one of its own.'],
    [{ KAFKA_CONTROLLER_PORT: '9092' }, 'KAFKA_PORT and KAFKA_CONTROLLER_PORT have the same port, 9092'],
    [{ KAFKA_BROKERS: 'kafka' }, 'KAFKA_BROKERS is not valid: give host:port'],
    [{ KAFKA_BROKERS: 'a:9092,b:70000' }, 'KAFKA_BROKERS is not valid: give host:port'],
    [{ KAFKA_BROKERS: ',' }, 'KAFKA_BROKERS is not valid: give host:port'],
    [{ POSTGRES_ADMIN_URL: 'mysql://a@b' }, 'POSTGRES_ADMIN_URL is not a PostgreSQL URL'],
  ])('refuse %j', (environment, message) => {
    expect(() => readSettings(environment)).toThrow(message);
  });
});

describe('what --fresh says', () => {
  const postgres = { POSTGRES_ADMIN_URL: 'postgres://a@b/postgres' };
  const kafka = { KAFKA_BROKERS: 'kafka:9092' };

  it.each([
    [{}, 'Removed the local data.'],
    [kafka, 'Removed the local data. Your own Kafka is left as it is.'],
    [OWN_DATABASES, 'Removed the local data. Your own PostgreSQL is left as it is.'],
    [
      { ...postgres, ...kafka },
      '--fresh has nothing to remove: PostgreSQL and Kafka are servers of your own, and are left as they are.',
    ],
  ])('with %j', (environment, note) => {
    expect(removalNote(readSettings(environment))).toBe(note);
  });
});

describe('the welcome', () => {
  const at = {
    urls: { relay: 'http://r', order: 'http://o', inventory: 'http://i', payment: 'http://p' },
    databases: { order: 'postgres://a:secret@b/o', inventory: 'postgres://a@b/i', payment: 'postgres://a@b/p' },
    brokers: 'kafka:9092',
    adminToken: '$TOKEN',
    seconds: '9',
  };

  it('names every app, and no password', () => {
    const text = welcome({ ...at, hasLocalConsumer: true });
    for (const url of Object.values(at.urls)) {
      expect(text).toContain(`${url}/openapi.json`);
    }
    expect(text).toContain('postgres://a@b/o');
    expect(text).not.toContain('secret');
  });

  it('shows the events in a database where there is no Kafka', () => {
    const text = welcome({ ...at, brokers: undefined, hasLocalConsumer: true });
    expect(text).toContain('psql postgres://a@b/i');
    expect(text).not.toContain('ConsoleConsumer');
    expect(text).not.toContain('undefined');
  });

  it('names the consumer in .local when it is there', () => {
    const text = welcome({ ...at, hasLocalConsumer: true });
    expect(text).toContain("-cp '.local/kafka/lib/*'");
    expect(text).toContain('org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server kafka:9092 \\\n');
  });

  it("names the given Kafka's consumer when nothing was fetched", () => {
    const text = welcome({ ...at, hasLocalConsumer: false });
    expect(text).toContain(
      '  kafka-console-consumer.sh --bootstrap-server kafka:9092 --topic outbox.event.order --from-beginning\n',
    );
    expect(text).not.toContain('.local/kafka');
  });
});

describe('the delay before a restart', () => {
  it('doubles from half a second to 5 s and starts anew after ten seconds of running', () => {
    const delays = [];
    let previousMs;
    for (let crash = 0; crash < 6; crash++) {
      previousMs = restartDelay({ ranForMs: 100, previousMs });
      delays.push(previousMs);
    }
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect(restartDelay({ ranForMs: 10_000, previousMs: 5_000 })).toBe(500);
  });
});
