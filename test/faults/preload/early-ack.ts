import { setTimeout as sleep } from 'node:timers/promises';
import { aroundSend } from './around-send.js';

/*
 * A fault put in on purpose: a send is said to be stored before it is, so that the ledger is written first. A run with
 * it must be found to lose events.
 */

const EARLY_MS = 100;
const lanes = new Map<string, Promise<unknown>>();

aroundSend((send, lane) => {
  const sent = Promise.all([lanes.get(lane.id), sleep(EARLY_MS)]).then(send);
  lanes.set(
    lane.id,
    sent.catch(() => undefined),
  );
  return Promise.resolve({ baseOffset: 0n });
});
