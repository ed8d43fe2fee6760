import { runConsumerApp } from '../../../harness/consumer-app.js';
import { BenchHandlers } from './bench-handlers.js';

await runConsumerApp({ handlers: BenchHandlers });
