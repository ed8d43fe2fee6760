export { idleSubscription } from './idle-subscription.js';
export { TestInbox } from './test-inbox.js';
export type { TestInboxOptions, TestPublished } from './test-inbox.js';
export type { TestDelivery, TestOutcome, TestReceipt } from './test-delivery.js';
