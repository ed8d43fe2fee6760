import { type SubscriptionPort } from '@millrace/transport';
import { tellHarness } from './link.js';

/** Tells the harness how many partitions the subscription has, whenever that changes. */
export function tellPartitions(subscription: SubscriptionPort): SubscriptionPort {
  let count = 0;
  const change = (by: number): void => {
    count += by;
    tellHarness(`partitions ${count}`);
  };
  return {
    kind: subscription.kind,
    status: () => subscription.status(),
    stop: async () => subscription.stop(),
    start: async (listener) =>
      subscription.start({
        open: async (partition, signal) => {
          const receiver = await listener.open(partition, signal);
          change(1);
          return {
            startOffset: receiver.startOffset ?? null,
            receive: async (chunk) => receiver.receive(chunk),
            close: async () => {
              change(-1);
              await receiver.close();
            },
          };
        },
      }),
  };
}
