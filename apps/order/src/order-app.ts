import { createHttpApp, readTls } from '@millrace/http';
import { type NestExpressApplication } from '@nestjs/platform-express';

import { translateDatabaseError } from './database/database.errors.js';
import { openDatabase } from './database/open-database.js';
import { ORDER_VERSION, type OrderConfig } from './order.config.js';
import { OrderModule } from './order.module.js';

/** The order service, complete and not yet listening. Throws `StartError` when its database is not fit for it. */
export async function createOrderApp(config: OrderConfig): Promise<NestExpressApplication> {
  const tls = readTls(config.http);
  const dataSource = await openDatabase(config.database);
  return await createHttpApp(OrderModule.forRoot(dataSource, config.source), {
    name: 'order',
    title: 'Millrace order service',
    version: ORDER_VERSION,
    description: 'Places orders and tells what became of them.',
    logLevel: config.http.LOG_LEVEL,
    isBehindProxy: config.http.MILLRACE_TRUST_PROXY,
    ...(tls === undefined ? {} : { tls }),
    translateProblem: translateDatabaseError,
  });
}
