import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createOutboxSource } from '@millrace/capture';
import { createKafkaSink, createPostgresSink, createSqsSink, type SinkPort } from '@millrace/transport';
import { type RelayConfig, type SinkOfKind } from '../config/relay-config.js';
import { type EngineParts } from './engine.module.js';
import { RouteLog } from './route-log.js';

/** Builds what a configuration names. Touches no server. */
export function enginePartsOf(config: RelayConfig): EngineParts {
  const observer = new RouteLog();
  return {
    owner: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
    sources: new Map(config.sources.map((source) => [source.name, createOutboxSource({ ...source, observer })])),
    sinks: new Map(config.sinks.map((sink) => [sink.name, sinkOf(sink)])),
    routes: config.routes,
  };
}

function sinkOf(sink: SinkOfKind): SinkPort {
  switch (sink.kind) {
    case 'kafka':
      return createKafkaSink(sink.options);
    case 'postgres':
      return createPostgresSink(sink.options);
    case 'sqs':
      return createSqsSink(sink.options);
  }
}
