import { type DataSource } from 'typeorm';

import { toStartError } from './database.errors.js';
import { REQUEST_LIMITS } from './connection-limits.js';
import { createDataSource } from './data-source.js';
import { openDatabase } from './open-database.js';
import { type ServiceConfig } from './service.config.js';
import { type ServiceDefinition } from './service-definition.js';

/**
 * The open pools of a service. Two of them: many requests at once must not keep events waiting, or the consumer takes a
 * busy pool for a database that is away; nor many events the requests.
 */
export interface ServiceConnections {
  readonly requests: DataSource;
  readonly consumer: DataSource;
}

/** Connections for what the inbox does beside the handlers: releasing chains, writing progress, probes. */
const CONNECTIONS_BESIDE_HANDLERS = 4;

/** Opens both pools, or none. Throws `StartError` when the database is not fit for the service. */
export async function openConnections(service: ServiceDefinition, config: ServiceConfig): Promise<ServiceConnections> {
  const requests = await openDatabase(service, config.database);
  const poolMax = config.consumerConcurrency + CONNECTIONS_BESIDE_HANDLERS;
  const consumer = createDataSource(service, { ...config.database, poolMax }, config.database.limits ?? REQUEST_LIMITS);
  try {
    await consumer.initialize();
    return { requests, consumer };
  } catch (error) {
    await requests.destroy();
    throw toStartError(error);
  }
}

/** Closes the pools that are open; Nest does it for an app that came up. */
export async function closeConnections({ requests, consumer }: ServiceConnections): Promise<void> {
  for (const dataSource of [requests, consumer]) {
    if (dataSource.isInitialized) {
      await dataSource.destroy();
    }
  }
}
