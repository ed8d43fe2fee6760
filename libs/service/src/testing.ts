import { type SubscriptionPort, type SubscriptionStatus } from '@millrace/transport';

import { type ConnectionLimits } from './connection-limits.js';

const MINUTE_MS = 60_000;

/** For `DatabaseConfig.limits`, where a test lets requests meet: a slow machine must not make one of them give up. */
export const PATIENT_LIMITS: ConnectionLimits = {
  statement_timeout: MINUTE_MS,
  lock_timeout: MINUTE_MS,
  idle_in_transaction_session_timeout: MINUTE_MS,
  query_timeout: MINUTE_MS,
  connectionTimeoutMillis: MINUTE_MS,
};

/**
 * A subscription that runs and never delivers, for tests of a service over HTTP that need no broker:
 * `createServiceApp(service, { ...config, subscribe: idleSubscription }, ...)`. Events are delivered by `TestInbox`.
 */
export function idleSubscription(): SubscriptionPort {
  let status: SubscriptionStatus = { kind: 'idle' };
  return {
    kind: 'test',
    status: () => status,
    start: () => {
      status = { kind: 'running', partitions: 0, missingTopics: [] };
      return Promise.resolve();
    },
    stop: () => {
      status = { kind: 'stopped' };
      return Promise.resolve();
    },
  };
}
