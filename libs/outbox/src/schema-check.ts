import { requireSchema } from '@millrace/schema';
import { type InjectionToken, type OnModuleInit } from '@nestjs/common';
import { type ModuleRef } from '@nestjs/core';
import { OutboxError } from './outbox.errors.js';

interface Queryable {
  query(sql: string): Promise<unknown>;
}

/** Stops the boot of an application whose database does not have this release's schema. */
export class SchemaCheck implements OnModuleInit {
  constructor(
    private readonly modules: ModuleRef,
    private readonly database: InjectionToken,
  ) {}

  async onModuleInit(): Promise<void> {
    const database = this.resolve();
    try {
      await requireSchema(async (sql) => ({ rows: rowsOf(await database.query(sql)) }));
    } catch (error) {
      throw isDenied(error) ? denial(error) : error;
    }
  }

  private resolve(): Queryable {
    let found: unknown;
    try {
      found = this.modules.get<unknown>(this.database, { strict: false });
    } catch (cause) {
      throw this.refusal('names a token that no module provides', cause);
    }
    if (!isQueryable(found)) {
      throw this.refusal('names a provider without a query() method');
    }
    return found;
  }

  private refusal(reason: string, cause?: unknown): OutboxError {
    const message =
      `OutboxModule.forRoot({ database }) ${reason}. ` + 'Give the token of the TypeORM DataSource or of the pg Pool.';
    return new OutboxError('configuration_invalid', message, { cause });
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '42501';
}

function denial(cause: unknown): OutboxError {
  return new OutboxError(
    'not_authorised',
    "The database user may not read schema millrace's version. Run: grant millrace_producer to <user>",
    { cause },
  );
}

/** `pg` answers with an object, TypeORM with the rows. */
function rowsOf(result: unknown): readonly unknown[] {
  if (Array.isArray(result)) {
    return result;
  }
  const rows: unknown = typeof result === 'object' && result !== null ? Reflect.get(result, 'rows') : null;
  return Array.isArray(rows) ? rows : [];
}

function isQueryable(value: unknown): value is Queryable {
  return typeof value === 'object' && value !== null && 'query' in value && typeof value.query === 'function';
}
