import { type DataSource } from 'typeorm';
import { runConsumerApp } from '../../../harness/consumer-app.js';
import { aroundInbox } from './around-inbox.js';
import { listenForBarriers, pass } from './barriers.js';
import { KeyHandlers } from './key-handlers.js';
import { wrongInbox, wrongSubscription } from './wrong-rules.js';

const rule = process.env['CONSUMER_RULE'] ?? '';
let opened: DataSource | undefined;

listenForBarriers();
const wrong = wrongInbox(rule, databaseOfTheApp);
if (wrong !== undefined) {
  aroundInbox(wrong);
}
aroundInbox((inner) => ({
  apply: async (arrivals, handle) => {
    pass('before-claim');
    const outcomes = await inner.apply(arrivals, handle);
    pass('after-commit');
    return outcomes;
  },
  saveProgress: async (progress) => {
    pass('before-progress');
    await inner.saveProgress(progress);
    pass('after-progress');
  },
}));
await runConsumerApp({
  handlers: KeyHandlers,
  around: wrongSubscription(rule),
  opened: (dataSource) => {
    opened = dataSource;
  },
});

function databaseOfTheApp(): DataSource {
  if (opened === undefined) {
    throw new Error('The database is not open yet.');
  }
  return opened;
}
