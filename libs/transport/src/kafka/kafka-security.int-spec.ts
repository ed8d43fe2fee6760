import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { SecuredKafka, type SecuredListener, uniqueName } from '@millrace/testing';
import { type SinkLane, type SinkPort, type SinkRecord } from '../sink-port.js';
import { type SubscriptionPort } from '../subscription-port.js';
import { ChangeSignal } from '../testing/change-signal.js';
import { RecordingListener } from '../testing/recording-listener.js';
import { SinkError } from '../transport.errors.js';
import { createKafkaSink } from './create-kafka-sink.js';
import { createKafkaSubscription } from './create-kafka-subscription.js';
import { KAFKA_CLIENTS, type KafkaConnection, type KafkaSasl } from './kafka-config.js';
import { type SubscriptionEvent } from './subscription-events.js';

jest.setTimeout(300_000);

type PasswordLogin = Exclude<KafkaSasl['mechanism'], 'OAUTHBEARER'>;
const PASSWORD_LOGINS: readonly PasswordLogin[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'];

const record: SinkRecord = { key: Buffer.from('key'), value: Buffer.from('value'), headers: [] };

async function failureOf(promise: Promise<unknown>): Promise<SinkError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SinkError)) {
    throw new Error(`expected a SinkError, got ${String(error)}`);
  }
  return error;
}

describe('TLS and logins to Kafka', () => {
  const broker = new SecuredKafka();
  let sink: SinkPort;

  beforeAll(async () => {
    await broker.start();
  });

  afterEach(async () => {
    await sink.stop();
  });

  afterAll(async () => {
    await broker.stop();
  });

  describe.each(KAFKA_CLIENTS)('on %s', (client) => {
    function sinkTo(listener: SecuredListener, connection: Partial<KafkaConnection>): SinkPort {
      sink = createKafkaSink({
        client,
        connection: { brokers: broker.brokersOf(listener), ...connection },
        topics: { create: true, partitions: 1, replication: 1 },
        requestTimeoutMs: 20_000,
      });
      return sink;
    }

    async function openLane(): Promise<SinkLane> {
      const { lanes } = await sink.openTopic(uniqueName('secured'));
      const [lane] = lanes;
      if (lane === undefined) {
        throw new Error('no lane');
      }
      return lane;
    }

    async function expectStored(): Promise<void> {
      expect(await sink.send(await openLane(), [record])).toEqual({ baseOffset: 0n });
    }

    const byPassword = (mechanism: PasswordLogin, password = broker.password): KafkaSasl => ({
      mechanism,
      username: 'relay',
      password,
    });

    it('speaks TLS with the given authority, and refuses a certificate that it does not know', async () => {
      sinkTo('TLS', { tls: { caPath: broker.caPath } });
      await expectStored();
      await sink.stop();

      await expect(sinkTo('TLS', { tls: {} }).start()).rejects.toMatchObject({
        code: 'configuration',
        outcome: 'refused',
        message: expect.stringMatching(/SELF_SIGNED.*KAFKA_SSL_CA/),
      });
      await sink.stop();

      const absent = join(broker.directory, 'none.pem');
      await expect(sinkTo('TLS', { tls: { caPath: absent } }).start()).rejects.toMatchObject({
        code: 'configuration',
        message: expect.stringContaining('none.pem'),
      });
    });

    it('shows a certificate of its own where the brokers want one', async () => {
      const { caPath, keyPath } = broker;
      const own = existsSync(keyPath) ? { certPath: caPath, keyPath } : undefined;

      const error = await failureOf(sinkTo('MUTUAL', { tls: { caPath } }).start());
      expect(error.message).toContain('KAFKA_SSL');
      await sink.stop();
      if (own !== undefined) {
        sinkTo('MUTUAL', { tls: { caPath, ...own } });
        await expectStored();
      }
    });

    it('says what to check when one side speaks TLS and the other does not', async () => {
      await expect(sinkTo('TLS', {}).start()).rejects.toMatchObject({ message: expect.stringContaining('KAFKA_SSL') });
      await sink.stop();

      const plain = sinkTo('TLS', { brokers: broker.brokersOf('PLAINTEXT'), tls: {} });
      await expect(plain.start()).rejects.toMatchObject({ message: expect.stringContaining('KAFKA_SSL') });
    });

    it.each(PASSWORD_LOGINS)('logs in by %s, with and without TLS, and tells a wrong password', async (mechanism) => {
      sinkTo('USER', { sasl: byPassword(mechanism) });
      await expectStored();
      await sink.stop();

      const tls = { caPath: broker.caPath };
      sinkTo('USERTLS', { tls, sasl: byPassword(mechanism) });
      await expectStored();
      await sink.stop();

      const error = await failureOf(sinkTo('USERTLS', { tls, sasl: byPassword(mechanism, 'wrong horse') }).start());
      expect(error).toMatchObject({ code: 'not_authorised', outcome: 'refused' });
      expect(error.message).toContain('Check the SASL user');
      expect(String(error)).not.toContain('horse');
    });

    it('logs in by a token, asked for at each connection', async () => {
      let asked = 0;
      const token = (): Promise<string> => {
        asked += 1;
        return Promise.resolve(broker.tokenFor(600));
      };
      sinkTo('USER', { sasl: { mechanism: 'OAUTHBEARER', token } });
      await expectStored();
      expect(asked).toBeGreaterThan(0);
    });

    it('reads a token again from its file before it expires, and loses no send over it', async () => {
      const tokenPath = join(broker.directory, 'token');
      writeFileSync(tokenPath, `${broker.tokenFor(14)}\n`);
      sinkTo('USER', { sasl: { mechanism: 'OAUTHBEARER', tokenPath } });
      const lane = await openLane();
      await sink.send(lane, [record]);
      writeFileSync(tokenPath, broker.tokenFor(600));

      const until = performance.now() + 18_000;
      let sent = 1n;
      while (performance.now() < until) {
        expect(await sink.send(lane, [record])).toEqual({ baseOffset: sent });
        sent += 1n;
        await sleep(100);
      }
    });

    it('tells a token that is refused, and a file that holds none', async () => {
      const tokenPath = join(broker.directory, 'bad-token');
      writeFileSync(tokenPath, broker.tokenFor(-60));
      const login: KafkaSasl = { mechanism: 'OAUTHBEARER', tokenPath };
      sinkTo('USER', { sasl: login });
      const refused = await failureOf(sink.start().then(() => openLane()));
      expect(refused).toMatchObject({ outcome: 'refused', message: expect.stringContaining('KAFKA_SASL_TOKEN') });
      await sink.stop();

      writeFileSync(tokenPath, '\n');
      const missing = await failureOf(sinkTo('USER', { sasl: login }).start());
      expect(missing).toMatchObject({ code: 'configuration', message: expect.stringContaining('bad-token') });
    });

    it('names a mechanism that the brokers do not offer, and brokers that want a user', async () => {
      sinkTo('TLS', { tls: { caPath: broker.caPath }, sasl: byPassword('PLAIN') });
      const offered = await failureOf(sink.start());
      expect(offered.message).toContain('KAFKA_SASL_MECHANISM');
      await sink.stop();

      sinkTo('USER', {});
      await expect(sink.start().then(() => openLane())).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('KAFKA_SASL_MECHANISM'),
      });
    });

    it.each([
      ['TLS', () => ({ brokers: broker.brokersOf('TLS'), tls: { caPath: broker.caPath } })],
      ['PLAIN', () => ({ brokers: broker.brokersOf('USER'), sasl: byPassword('PLAIN') })],
      ['SCRAM-SHA-512', () => ({ brokers: broker.brokersOf('USER'), sasl: byPassword('SCRAM-SHA-512') })],
    ])('lets a subscription in by %s', async (_, connection) => {
      sinkTo('TLS', { tls: { caPath: broker.caPath } });
      const lane = await openLane();
      await sink.send(lane, [record]);
      const signal = new ChangeSignal();
      const listener = new RecordingListener(signal);
      const subscription = subscribe(connection(), lane.topic);
      await subscription.start(listener);
      await signal.until('the record', () => listener.deliveries.length === 1);
      await subscription.stop();
    });

    it('tells of a subscription that is not let in, and goes on trying', async () => {
      const refused = [
        { connection: { brokers: broker.brokersOf('TLS'), tls: {} }, reason: /SELF_SIGNED.*KAFKA_SSL_CA/ },
        {
          connection: { brokers: broker.brokersOf('USER'), sasl: byPassword('PLAIN', 'wrong horse') },
          reason: /^Kafka failed: (the login failed|SASL_AUTHENTICATION_FAILED)\./,
        },
      ];
      for (const { connection, reason } of refused) {
        const signal = new ChangeSignal();
        const events: SubscriptionEvent[] = [];
        const subscription = subscribe(connection, 'any', (event) => {
          events.push(event);
          signal.changed();
        });
        await subscription.start(new RecordingListener(signal));
        const isRefusal = (event: SubscriptionEvent) => event.kind === 'rebuilt' && reason.test(event.reason);
        await signal.until('a second refusal', () => events.filter(isRefusal).length >= 2);
        await subscription.stop();
        expect(JSON.stringify(events)).not.toContain('horse');
      }
    });

    function subscribe(
      connection: KafkaConnection,
      topic: string,
      onEvent: (event: SubscriptionEvent) => void = () => undefined,
    ): SubscriptionPort {
      return createKafkaSubscription({ client, connection, groupId: uniqueName('group'), topics: [topic], onEvent });
    }
  });
});
