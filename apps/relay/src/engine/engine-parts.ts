import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createOutboxSource } from '@millrace/capture';
import { createKafkaSink } from '@millrace/transport';
import { type RelayConfig } from '../config/relay-config.js';
import { type EngineParts } from './engine.module.js';
import { RouteLog } from './route-log.js';

/** Builds what a configuration names. Touches no server. */
export function enginePartsOf(config: RelayConfig): EngineParts {
  const observer = new RouteLog();
  return {
    owner: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
    sources: new Map(config.sources.map((source) => [source.name, createOutboxSource({ ...source, observer })])),
    sinks: new Map(config.sinks.map(({ name, kafka }) => [name, createKafkaSink(kafka)])),
    routes: config.routes,
  };
}
