import { type SubscriptionPort, type SubscriptionStatus } from '@millrace/transport';

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
