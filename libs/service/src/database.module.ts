import { Module } from '@nestjs/common';

import { Database } from './database.js';
import { DatabaseReadiness } from './database-readiness.js';

/** Offers `Database` and the readiness of what is behind it. The data source comes from `TypeOrmModule`. */
@Module({ providers: [Database, DatabaseReadiness], exports: [Database, DatabaseReadiness] })
export class DatabaseModule {}
