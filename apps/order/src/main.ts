import 'reflect-metadata';

import { listen, runApp } from '@millrace/http';

import { createOrderApp } from './order-app.js';
import { readOrderConfig } from './order.config.js';

await runApp(async () => {
  const config = readOrderConfig(process.env);
  const app = await createOrderApp(config);
  await listen(app, config.http);
  return app;
});
