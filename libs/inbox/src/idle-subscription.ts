import { type SubscriptionPort, type SubscriptionStatus } from '@millrace/transport';

/**
 * A subscription that runs and never delivers: `InboxModule.forRoot({ ..., subscribe: idleSubscription })` in tests of an
 * application that need no broker. Events come from `TestInbox`.
 */
export function idleSubscription(): SubscriptionPort {
  let status: SubscriptionStatus = { kind: 'idle' };
  const change = (next: SubscriptionStatus) => (): Promise<void> => {
    status = next;
    return Promise.resolve();
  };
  return {
    kind: 'idle',
    status: () => status,
    start: change({ kind: 'running', partitions: 0, missingTopics: [] }),
    stop: change({ kind: 'stopped' }),
  };
}
