import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { runApp } from '@millrace/http';
import { readRelaySettings } from './relay.config.js';
import { startRelay } from './relay-app.js';

/*
 * Crash-only: after an exception that nobody caught (a Kafka client can throw from a timer) nothing is known about
 * what is in flight. The process ends; the lease runs out or the next process takes it, and sends what is not settled.
 */
process.on('uncaughtException', (error) => {
  new Logger('process').fatal({ err: error }, 'uncaught exception, the process ends');
  process.exit(1);
});

await runApp(async () => await startRelay(readRelaySettings()));
