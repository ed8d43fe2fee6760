import { postgresUrl } from '@millrace/http';
import { z } from 'zod';
import { isMapping } from './config-problem.js';
import { mapping, whole } from './config-values.js';
import { kafkaSink } from './kafka-schema.js';
import { time } from './retention-schema.js';
import { sqsSink } from './sqs-schema.js';

const postgresSink = mapping({
  kind: z.literal('postgres'),
  databaseUrl: postgresUrl(),
  partitions: whole(1, 1_000).optional(),
  keep: time().optional(),
  keepRead: time().optional(),
  recordBytesMax: whole(10_240, 100_000_000).optional(),
});

const KINDS = 'give kafka, postgres or sqs';
const LATER_KINDS: readonly unknown[] = ['rabbitmq', 'redis'];

/** A sink of the file: where routes publish to. */
export const sinkSchema = z.discriminatedUnion('kind', [kafkaSink, postgresSink, sqsSink], {
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
