export type { BreakerState } from './breaker.js';
export { causedBy } from './causation.js';
export type { ConsumerStatus, UnreadyReason } from './consumer-status.js';
export { HandleEvent } from './handle-event.js';
export type { EventHandler } from './handle-event.js';
export type { ConsumerTuning, InboxModuleOptions, SubscriptionRequest } from './inbox.config.js';
export { InboxError, Park, Retry } from './inbox.errors.js';
export type { InboxErrorCode, RetryOptions } from './inbox.errors.js';
export { InboxConsumer } from './inbox-consumer.js';
export { InboxModule } from './inbox.module.js';
export type {
  AttemptFailed,
  BackgroundTask,
  ChainParked,
  HandlerEnded,
  InboxObserver,
  PartitionFrozen,
  RecordSettled,
  SetAside,
  Settlement,
} from './inbox-observer.js';
export type { ReceivedEvent } from './received-event.js';
export type { FailureAction, FailureCode } from './retry-policy.js';
export type { Transaction } from './transaction.js';
