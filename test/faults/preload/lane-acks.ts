import { tellHarness } from '../../harness/link.js';
import { aroundSend } from './around-send.js';

/* Loaded into a relay under test: tells which lanes are acknowledged, each at most ten times a second. */

const TELL_EVERY_MS = 100;
const toldMs = new Map<string, number>();

aroundSend(async (send, lane) => {
  const receipt = await send();
  const nowMs = performance.now();
  if (nowMs - (toldMs.get(lane.id) ?? Number.NEGATIVE_INFINITY) >= TELL_EVERY_MS) {
    toldMs.set(lane.id, nowMs);
    tellHarness(`acked ${lane.id}`);
  }
  return receipt;
});
