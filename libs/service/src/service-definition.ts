import { type EventContract } from '@millrace/events';
import { type DataSourceOptions, type MigrationInterface, type EntitySchema } from 'typeorm';

import { type ServiceInvariants } from './invariant-report.js';

/** The token of the service's own `ServiceDefinition`. */
export const SERVICE = Symbol('SERVICE');

/** A class that TypeORM maps to a table. */
export type Entity = (new () => object) | EntitySchema;

/** The defaults of `MILLRACE_CONSUMER_CONCURRENCY` and `MILLRACE_CONSUMER_BATCH`. */
export interface HandlingDefaults {
  /** Transactions at a time. One where the events of different keys change the same rows: two would wait for each other. */
  readonly concurrency: number;
  /** The most events of one transaction. */
  readonly batch: number;
}

/** What tells one reference service from another; the rest is in this lib. */
export interface ServiceDefinition {
  /** Its app, its database's default name, the relay's source and, for what it consumes, the consumer: `order`. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** The version that the API, its document and its health name. */
  readonly version: string;
  /** The default of `PORT`. */
  readonly port: number;
  readonly entities: readonly Entity[];
  /** The business tables, oldest first. */
  readonly migrations: readonly (new () => MigrationInterface)[];
  /** How its handlers run where the environment does not say otherwise. */
  readonly handling: HandlingDefaults;
  /** The contracts that it publishes. What it handles is found by its `@HandleEvent`. */
  readonly publishes: readonly EventContract[];
  /** What `GET /invariants` tells. */
  readonly invariants: ServiceInvariants;
}

/** The part of TypeORM's options that a definition gives. */
export function tablesOf({
  entities,
  migrations,
}: ServiceDefinition): Pick<DataSourceOptions, 'entities' | 'migrations'> {
  return { entities: [...entities], migrations: [...migrations] };
}
