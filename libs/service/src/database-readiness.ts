import { type Readiness, ReadinessPort } from '@millrace/http';
import { SchemaError } from '@millrace/schema';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';

import { readMigrationState, requireOutbox } from './migration-state.js';
import { CONSUMER_CONNECTIONS } from './service-inbox.js';

/** Ready while the database answers and has the schemas that this release writes to. */
@Injectable()
export class DatabaseReadiness extends ReadinessPort {
  /** Not on the requests' connections: when all of them are busy, the database is there all the same. */
  constructor(@InjectDataSource(CONSUMER_CONNECTIONS) private readonly dataSource: DataSource) {
    super();
  }

  override async readiness(): Promise<Readiness> {
    const reason = await this.findReason();
    return { isReady: reason === undefined, reasons: reason === undefined ? [] : [reason] };
  }

  private async findReason(): Promise<string | undefined> {
    try {
      await requireOutbox(this.dataSource);
      return (await readMigrationState(this.dataSource)) === 'current' ? undefined : 'tables-not-migrated';
    } catch (error) {
      return error instanceof SchemaError ? 'outbox-schema-version' : 'database-unreachable';
    }
  }
}
