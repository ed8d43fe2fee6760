import { createHttpApp, listen, readTls, runApp, runOnce, StartError } from '@millrace/http';
import { InboxError } from '@millrace/inbox';
import { type DynamicModule } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';

import { translateDatabaseError } from './database.errors.js';
import { migrateTables } from './migrate-tables.js';
import { readMigrationConfig, readServiceConfig, type ServiceConfig } from './service.config.js';
import { closeConnections, openConnections, type ServiceConnections } from './service-connections.js';
import { type ServiceDefinition } from './service-definition.js';

/** The Nest module of a service over connections that are open; they are closed with the app. */
export type ServiceModuleFactory = (connections: ServiceConnections, config: ServiceConfig) => DynamicModule;

/**
 * A service, complete, consuming, and not yet listening. Throws `StartError` when its database is not fit for it, or
 * when its handlers or its consumer's settings cannot be.
 */
export async function createServiceApp(
  service: ServiceDefinition,
  config: ServiceConfig,
  moduleOf: ServiceModuleFactory,
): Promise<NestExpressApplication> {
  const tls = readTls(config.http);
  const connections = await openConnections(service, config);
  try {
    return await createHttpApp(moduleOf(connections, config), {
      name: service.name,
      title: service.title,
      version: service.version,
      description: service.description,
      logLevel: config.http.LOG_LEVEL,
      isBehindProxy: config.http.MILLRACE_TRUST_PROXY,
      ...(tls === undefined ? {} : { tls }),
      translateProblem: translateDatabaseError,
    });
  } catch (error) {
    await closeConnections(connections);
    throw error instanceof InboxError ? new StartError([error.message], { cause: error }) : error;
  }
}

/** The service as a process: reads its environment, opens its database, listens, stops in order. */
export async function runService(service: ServiceDefinition, moduleOf: ServiceModuleFactory): Promise<void> {
  await runApp(async () => {
    const config = readServiceConfig(service);
    const app = await createServiceApp(service, config, moduleOf);
    await listen(app, config.http);
    return app;
  });
}

/** The program that brings a service's tables up to date, and says what it did. */
export async function runMigration(service: ServiceDefinition): Promise<void> {
  await runOnce(async () => {
    const applied = await migrateTables(service, readMigrationConfig());
    return applied.length === 0
      ? `The tables of the ${service.name} service are up to date`
      : `Applied to the tables of the ${service.name} service: ${applied.join(', ')}`;
  });
}
