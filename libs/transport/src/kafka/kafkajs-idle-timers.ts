interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
}

const patched = new WeakSet();

/**
 * Stops kafkajs 2.2 from setting a timer when there is nothing to wait for.
 *
 * Its request queue sets one after every answer, with a delay that is negative unless the broker throttles: Node makes
 * that 1 ms, the timer sets the next one, and an idle connection wakes up hundreds of times a second for ever; Node 24
 * prints `TimeoutNegativeWarning` besides (tulios/kafkajs#1704, #1751). Here the timer is set only while requests wait.
 */
export function stopIdleTimers(require: NodeJS.Require): void {
  const queueClass: unknown = require('kafkajs/src/network/requestQueue');
  const prototype: unknown = typeof queueClass === 'function' ? queueClass.prototype : undefined;
  if (!isRequestQueuePrototype(prototype) || patched.has(prototype)) {
    return;
  }
  patched.add(prototype);
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function scheduleWhilePending(this: RequestQueue): void {
    if (this.pending.length > 0) {
      schedule.call(this);
    }
  };
}

function isRequestQueuePrototype(
  candidate: unknown,
): candidate is { scheduleCheckPendingRequests: (this: RequestQueue) => void } {
  return (
    typeof candidate === 'object' &&
    candidate !== null &&
    typeof Reflect.get(candidate, 'scheduleCheckPendingRequests') === 'function'
  );
}
