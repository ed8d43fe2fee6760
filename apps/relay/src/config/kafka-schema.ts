import { KAFKA_CLIENTS, KAFKA_COMPRESSIONS, KAFKA_SASL_MECHANISMS } from '@millrace/transport';
import { z } from 'zod';
import { flag, mapping, oneOf, text, texts, whole } from './config-values.js';
import { time } from './retention-schema.js';

const tls = mapping({
  ca: text('give the path of a PEM file').optional(),
  cert: text('give the path of a PEM file').optional(),
  key: text('give the path of a PEM file').optional(),
  rejectUnauthorized: flag().optional(),
}).refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
  error: 'cert and key belong together: give both or neither',
});

const sasl = z.discriminatedUnion(
  'mechanism',
  [
    mapping({
      mechanism: z.literal(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
      username: text('give the user name'),
      password: text('give ${NAME} of the variable that holds the password'),
    }),
    mapping({
      mechanism: z.literal('OAUTHBEARER'),
      token: text('give ${NAME} of the variable that holds the token').optional(),
      tokenFile: text('give the path of a file that holds the token alone').optional(),
    }).refine(({ token, tokenFile }) => (token === undefined) !== (tokenFile === undefined), {
      path: ['token'],
      error: 'give either token, or tokenFile for one that is renewed',
    }),
  ],
  { error: `give a mapping whose mechanism is one of: ${KAFKA_SASL_MECHANISMS.join(', ')}` },
);

const topicSettings = z.record(
  z.string().regex(/^[a-z][a-z.]*$/),
  z.union([z.string(), z.number(), z.boolean()]).transform(String),
  { error: 'give a mapping from the names of topic settings, such as retention.ms, to their values' },
);

/** Longer than a request may take, so that nothing is refused that is not late. */
const LATE_MIN_MS = 20_000;
const LATE_MAX_MS = 86_400_000;

const topics = mapping({
  create: flag(),
  partitions: whole(1, 10_000).optional(),
  replication: whole(1, 100).optional(),
  settings: topicSettings.optional(),
  refuseOlderThan: time()
    .refine((ms) => ms >= LATE_MIN_MS && ms <= LATE_MAX_MS, { error: 'give a time from 20s to 1d' })
    .optional(),
})
  .check(({ value, issues }) => {
    for (const key of ['partitions', 'replication'] as const) {
      if (value.create && value[key] === undefined) {
        issues.push({
          code: 'custom',
          input: value,
          path: [key],
          message: 'give it for topics that are to be created',
        });
      }
    }
    for (const key of ['replication', 'settings', 'refuseOlderThan'] as const) {
      if (!value.create && value[key] !== undefined) {
        issues.push({ code: 'custom', input: value, path: [key], message: 'it is for topics that are to be created' });
      }
    }
  })
  .refine(({ settings = {}, refuseOlderThan }) => refuseOlderThan === undefined || !setsTime(settings), {
    path: ['refuseOlderThan'],
    error: 'it sets what settings has as message.timestamp.*: give the one or the other',
  });

function setsTime(settings: Readonly<Record<string, string>>): boolean {
  return Object.keys(settings).some((name) => name.startsWith('message.timestamp.'));
}

/** A Kafka cluster of the file. */
export const kafkaSink = mapping({
  kind: z.literal('kafka'),
  brokers: texts(isHostAndPort, 'give host:port, several separated by commas or as a list'),
  client: oneOf(KAFKA_CLIENTS).optional(),
  topics,
  tls: tls.optional(),
  sasl: sasl.optional(),
  compression: oneOf(KAFKA_COMPRESSIONS).optional(),
  idempotent: flag().optional(),
  messageBytesMax: whole(10_240, 100_000_000).optional(),
}).check(({ value, issues }) => {
  const { client, compression, idempotent } = value;
  if (client === 'kafkajs' && (compression === 'lz4' || compression === 'snappy')) {
    const message = 'kafkajs has none and gzip and zstd: give one of them, or client: platformatic';
    issues.push({ code: 'custom', input: value, path: ['compression'], message });
  }
  if (client === 'kafkajs' && idempotent === true) {
    const message = 'kafkajs cannot be idempotent safely: give false, or client: platformatic';
    issues.push({ code: 'custom', input: value, path: ['idempotent'], message });
  }
});

function isHostAndPort(text: string): boolean {
  const port = Number(/^[^\s:/@]+:(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= 65_535;
}
