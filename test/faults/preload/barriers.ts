import {
  type CapturePort,
  type ClaimRequest,
  type ClaimResult,
  createOutboxSource,
  type SourcePort,
} from '@millrace/capture';
import { around } from './around.js';
import { freeze, listenToHarness, tellHarness } from '../../harness/link.js';
import { aroundSend } from './around-send.js';

/*
 * Loaded into a relay under test with `node --import`. It wraps the calls of the ports, so that the relay's own code
 * has no hook: the harness names a barrier, and the process freezes when it gets there, to be killed at that point.
 */

let armed = '';
let sendsInFlight = 0;
const leading = new WeakSet<object>();

listenToHarness((line) => {
  armed = line === '' ? armed : line;
});

// a source connects to nothing before it is asked for a claim
const source: unknown = Object.getPrototypeOf(
  createOutboxSource({ name: 'none', databaseUrl: 'postgres://none/none' }),
);
if (!isSourcePort(source)) {
  throw new Error('The polling source has no method `claim` to wrap: adapt the preloaded modules of the fault runs.');
}

around<'claim', [ClaimRequest], ClaimResult>(source, 'claim', async (claim) => {
  const result = await claim();
  if (result.kind === 'claimed') {
    tellHarness(`claimed ${result.epoch}`);
    passAroundSettle(result.capture);
  }
  return result;
});

/** Of this claim, whichever way its events are captured. */
function passAroundSettle(capture: CapturePort): void {
  const settle = capture.settle.bind(capture);
  capture.settle = async (page, ...rest) => {
    const hasEvents = page.rowCount > 0; // of a page on its way the events themselves are forgotten
    if (hasEvents) {
      pass('before-ledger');
    }
    const result = await settle(page, ...rest);
    if (hasEvents) {
      tellLeading(capture);
      pass('after-ledger');
    }
    return result;
  };
}

aroundSend(async (send) => {
  sendsInFlight += 1;
  try {
    return await send();
  } finally {
    sendsInFlight -= 1;
    if (sendsInFlight > 0) {
      pass('mid-page');
    }
  }
});

function isSourcePort(value: unknown): value is SourcePort {
  return typeof value === 'object' && value !== null && 'claim' in value;
}

export function pass(barrier: string): void {
  if (armed === barrier) {
    tellHarness(`reached ${barrier}`);
    freeze();
  }
}

/** A relay leads once it has published something. */
function tellLeading(claim: object): void {
  if (!leading.has(claim)) {
    leading.add(claim);
    tellHarness('leading');
  }
}
