import { type KafkaClientName, type KafkaConnection, type KafkaSinkOptions } from '@millrace/transport';
import { type CheckedSink } from './sink-schema.js';

/** What a Kafka cluster of the file stands for; `client` where it names none. */
export function kafkaOptionsOf(sink: CheckedSink<'kafka'>, client: KafkaClientName): Omit<KafkaSinkOptions, 'drainMs'> {
  const { tls, sasl, compression, idempotent, messageBytesMax } = sink;
  return {
    client: sink.client ?? client,
    connection: { brokers: sink.brokers, ...(tls && { tls: tlsOf(tls) }), ...(sasl && { sasl: saslOf(sasl) }) },
    topics: topicsOf(sink.topics),
    ...(compression && { compression }),
    ...(idempotent !== undefined && { idempotent }),
    ...(messageBytesMax && { messageBytesMax }),
  };
}

function topicsOf({
  create,
  partitions,
  replication = 1,
  settings,
  refuseOlderThan,
}: CheckedSink<'kafka'>['topics']): KafkaSinkOptions['topics'] {
  if (!create) {
    return { create, ...(partitions && { partitions }) };
  }
  return {
    create,
    partitions: partitions ?? 1,
    replication,
    ...(settings && { settings }),
    ...(refuseOlderThan && { refuseOlderThanMs: refuseOlderThan }),
  };
}

function tlsOf({
  ca,
  cert,
  key,
  rejectUnauthorized,
}: NonNullable<CheckedSink<'kafka'>['tls']>): NonNullable<KafkaConnection['tls']> {
  return {
    ...(ca && { caPath: ca }),
    ...(cert && { certPath: cert }),
    ...(key && { keyPath: key }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
  };
}

function saslOf(sasl: NonNullable<CheckedSink<'kafka'>['sasl']>): NonNullable<KafkaConnection['sasl']> {
  if (sasl.mechanism !== 'OAUTHBEARER') {
    return sasl;
  }
  const { mechanism, token = '', tokenFile } = sasl;
  return tokenFile === undefined ? { mechanism, token } : { mechanism, tokenPath: tokenFile };
}
