import { postgresUrl } from '@millrace/http';
import { KAFKA_CLIENTS, KAFKA_SASL_MECHANISMS } from '@millrace/transport';
import { z } from 'zod';
import { isMapping } from './config-problem.js';
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
      token: text('give ${NAME} of the variable that holds the token'),
    }),
  ],
  { error: `give a mapping whose mechanism is one of: ${KAFKA_SASL_MECHANISMS.join(', ')}` },
);

const topics = mapping({
  create: flag(),
  partitions: whole(1, 10_000).optional(),
  replication: whole(1, 100).optional(),
}).check(({ value, issues }) => {
  for (const key of ['partitions', 'replication'] as const) {
    if (value.create && value[key] === undefined) {
      issues.push({ code: 'custom', input: value, path: [key], message: 'give it for topics that are to be created' });
    }
  }
});

const kafkaSink = mapping({
  kind: z.literal('kafka'),
  brokers: texts(isHostAndPort, 'give host:port, several separated by commas or as a list'),
  client: oneOf(KAFKA_CLIENTS).optional(),
  topics,
  tls: tls.optional(),
  sasl: sasl.optional(),
  compression: oneOf(['none', 'gzip']).optional(),
  messageBytesMax: whole(10_240, 100_000_000).optional(),
});

const postgresSink = mapping({
  kind: z.literal('postgres'),
  databaseUrl: postgresUrl(),
  partitions: whole(1, 1_000).optional(),
  keep: time().optional(),
  keepRead: time().optional(),
  recordBytesMax: whole(10_240, 100_000_000).optional(),
});

const KINDS = 'give kafka or postgres';
const LATER_KINDS: readonly unknown[] = ['sqs', 'rabbitmq', 'redis'];

/** A sink of the file: where routes publish to. */
export const sinkSchema = z.discriminatedUnion('kind', [kafkaSink, postgresSink], {
  error: ({ input }) => {
    const kind = isMapping(input) ? input['kind'] : undefined;
    return LATER_KINDS.includes(kind) ? `${String(kind)} is not available in this release: ${KINDS}` : KINDS;
  },
});

/** The sink of one kind, after the check. */
export type CheckedSink<Kind extends z.infer<typeof sinkSchema>['kind']> = Extract<
  z.infer<typeof sinkSchema>,
  { kind: Kind }
>;

function isHostAndPort(text: string): boolean {
  const port = Number(/^[^\s:/@]+:(\d{1,5})$/.exec(text)?.[1]);
  return port >= 1 && port <= 65_535;
}
