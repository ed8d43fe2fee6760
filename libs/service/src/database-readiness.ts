import { type Readiness, ReadinessPort } from '@millrace/http';
import { SchemaError } from '@millrace/schema';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

import { readMigrationState, requireOutbox } from './migration-state.js';

/** Ready while the database answers and has the schemas that this release writes to. */
@Injectable()
export class DatabaseReadiness extends ReadinessPort {
  constructor(private readonly dataSource: DataSource) {
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
