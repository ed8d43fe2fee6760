import { Option } from 'commander';
import { UsageError } from './usage.error.js';

/** `-d`, or `DATABASE_URL`. `whose`: as `the source's`. */
export function databaseUrlOption(whose?: string): Option {
  const shape = 'postgres://user:password@host:port/database';
  return new Option('-d, --database-url <url>', whose === undefined ? shape : `${whose}: ${shape}`).env('DATABASE_URL');
}

/** What was given; throws `UsageError` that names `command`, as `ledger adopt`, when nothing was. */
export function givenUrl(databaseUrl: string | undefined, command: string): string {
  if (databaseUrl === undefined) {
    throw new UsageError(`Name the database: millrace ${command} --database-url URL, or set DATABASE_URL.`);
  }
  return databaseUrl;
}
