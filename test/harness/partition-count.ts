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
        open: async (partition) => {
          const receiver = await listener.open(partition);
          change(1);
          return {
            receive: async (deliveries) => receiver.receive(deliveries),
            close: async () => {
              change(-1);
              await receiver.close();
            },
          };
        },
      }),
  };
}
