import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { stopIdleTimers } from './kafkajs-idle-timers.js';

interface Queue {
  readonly pending: unknown[];
  readonly throttleCheckTimeoutId: unknown;
  scheduleCheckPendingRequests(): void;
  destroy(): void;
}

type QueueClass = new (options: object) => Queue;

describe('the request queue of kafkajs', () => {
  it('sets a timer only while requests wait, however often it is patched', () => {
    const require = createRequire(import.meta.url);
    stopIdleTimers(require);
    stopIdleTimers(require);
    const RequestQueue = require('kafkajs/src/network/requestQueue') as QueueClass;
    const queue = new RequestQueue({ requestTimeout: 1_000 });

    queue.scheduleCheckPendingRequests();
    expect(queue.throttleCheckTimeoutId).toBeNull();

    queue.pending.push({});
    queue.scheduleCheckPendingRequests();
    expect(queue.throttleCheckTimeoutId).not.toBeNull();
    queue.destroy();
  });
});
