import { type Environment, postgresUrl, readEnvironment } from '@millrace/http';
import { z } from 'zod';

import { type DatabaseConfig } from './order.config.js';

/** What a migration needs: one connection that works and one that holds the lock. Throws `StartError`. */
export function readMigrationConfig(environment: Environment = process.env): DatabaseConfig {
  const { DATABASE_URL: url } = readEnvironment(z.object({ DATABASE_URL: postgresUrl() }), environment);
  return { url, poolMax: 2 };
}
