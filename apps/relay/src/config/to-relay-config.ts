import { type CaptureMode, type EventFilter } from '@millrace/capture';
import { type RouteConfig, type RouteTuning } from '@millrace/relay';
import { type KafkaClientName, type KafkaConnection, type PostgresSinkOptions } from '@millrace/transport';
import { type ConfigFile } from './config-schema.js';
import { kafkaOptionsOf } from './kafka-options.js';
import { recordShapeOf, topicOf } from './record-schema.js';
import { type RelayConfig, type RetentionConfig, type SinkOfKind, type SourceConfig } from './relay-config.js';
import { retentionOfFile } from './retention-schema.js';
import { type CheckedSink } from './sink-schema.js';
import { sqsOptionsOf } from './sqs-options.js';

/*
 * A process that stops is cut off after 10 s: the routes finish what is in flight, the sink lets go of what no route
 * waits for any more, and then closes its connections, which takes 5 s when the brokers hang.
 */
const ROUTE_DRAIN_MS = 3_000;
const SINK_DRAIN_MS = 500;

/** What the environment says for the sources and sinks that do not say it themselves. */
export interface ConfigDefaults {
  readonly capture: CaptureMode;
  readonly client: KafkaClientName;
  readonly retention: RetentionConfig | undefined;
}

/** The configuration that a checked file stands for. */
export function relayConfigOfFile(file: ConfigFile, defaults: ConfigDefaults): RelayConfig {
  const { capture, client } = defaults;
  return {
    sources: Object.entries(file.sources).map(([name, source]) => ({
      name,
      databaseUrl: source.databaseUrl,
      capture: source.capture ?? capture,
      ...retentionOf(source.retention ? retentionOfFile(source.retention) : defaults.retention),
    })),
    sinks: Object.entries(file.sinks).map(([name, sink]) => ({ name, ...sinkOf(sink, client) })),
    routes: Object.entries(file.routes).map(([name, route]) => routeOf(name, route)),
  };
}

/** One source, one sink and one route, each named `default`: what the environment alone can say. */
export function relayConfigOfEnvironment(
  given: ConfigDefaults & { readonly databaseUrl: string; readonly connection: KafkaConnection },
): RelayConfig {
  const { databaseUrl, capture, connection, client, retention } = given;
  const topics = { create: true, partitions: 6, replication: 1 } as const;
  return {
    sources: [{ name: 'default', databaseUrl, capture, ...retentionOf(retention) }],
    sinks: [{ name: 'default', kind: 'kafka', options: { client, connection, topics, drainMs: SINK_DRAIN_MS } }],
    routes: [{ name: 'default', source: 'default', sink: 'default', tuning: { drainMs: ROUTE_DRAIN_MS } }],
  };
}

function retentionOf(retention: RetentionConfig | undefined): Pick<SourceConfig, 'retention'> {
  return retention === undefined ? {} : { retention };
}

function sinkOf(sink: ConfigFile['sinks'][string], client: KafkaClientName): SinkOfKind {
  switch (sink.kind) {
    case 'kafka':
      return { kind: sink.kind, options: { ...kafkaOptionsOf(sink, client), drainMs: SINK_DRAIN_MS } };
    case 'postgres':
      return { kind: sink.kind, options: postgresOf(sink) };
    case 'sqs':
      return { kind: sink.kind, options: { ...sqsOptionsOf(sink), drainMs: SINK_DRAIN_MS } };
  }
}

function postgresOf(sink: CheckedSink<'postgres'>): PostgresSinkOptions {
  const { databaseUrl, partitions, keep, keepRead, recordBytesMax } = sink;
  return {
    databaseUrl,
    drainMs: SINK_DRAIN_MS,
    ...(partitions && { partitions }),
    ...(keep && { keepMs: keep }),
    ...(keepRead !== undefined && { keepReadMs: keepRead }),
    ...(recordBytesMax && { recordBytesMax }),
  };
}

function routeOf(name: string, route: ConfigFile['routes'][string]): RouteConfig {
  const { source, sink, topic, from, shards, filter, batch } = route;
  return {
    name,
    source,
    sink,
    ...filterOf(filter),
    ...(topic !== undefined && { topic: topicOf(topic) }),
    ...recordShapeOf(route),
    ...(from && { from }),
    ...(shards && { shards }),
    ...poisonOf(route),
    tuning: tuningOf(batch),
  };
}

function tuningOf(batch: ConfigFile['routes'][string]['batch']): Partial<RouteTuning> {
  return {
    drainMs: ROUTE_DRAIN_MS,
    ...(batch?.records && { batchRecordsMax: batch.records }),
    ...(batch?.bytes && { batchBytesMax: batch.bytes }),
  };
}

function filterOf(filter: ConfigFile['routes'][string]['filter']): EventFilter {
  const { aggregatetypes, types, headers } = filter ?? {};
  return {
    aggregateTypes: aggregatetypes ?? null,
    ...(types && { eventTypes: types }),
    ...(headers && { headerValues: Object.entries(headers).map(([name, values]) => ({ name, values })) }),
  };
}

function poisonOf({ onPoison, held }: ConfigFile['routes'][string]): Pick<RouteConfig, 'onPoison' | 'held'> {
  const { events, bytes } = held ?? {};
  return {
    ...(onPoison && { onPoison }),
    ...(held && { held: { ...(events && { eventsMax: events }), ...(bytes && { bytesMax: bytes }) } }),
  };
}
