import { setTimeout as sleep } from 'node:timers/promises';
import { addUp } from '@millrace/contracts';
import { readServices } from '../invariants/read-services.mjs';
import { readStock } from './stocking.mjs';

const LIMIT_S = 120;
const PAUSE_MS = 500;

/**
 * Reads the sums of the three services, and the stock and the accounts of the run, until all is at rest and agrees, or
 * two minutes have passed: releases and refunds follow an order's end. Resolves to what was read last.
 */
export async function waitForConservation({ plan, books, client, urls }) {
  const deadline = performance.now() + LIMIT_S * 1_000;
  for (;;) {
    const { stockViews, accountViews } = await readStock(plan, { client, urls });
    const differences = books.differences(stockViews, accountViews);
    const reading = await readServices(urlsOf(urls));
    const conservation = addUp(reading.services);
    const isDone = books.open.size === 0 && differences.length === 0 && conservation.isAtRest;
    if (isDone || performance.now() > deadline) {
      return { differences, invariants: { ...reading, conservation, waitSeconds: LIMIT_S } };
    }
    await sleep(PAUSE_MS);
  }
}

function urlsOf({ order, inventory, payment }) {
  return { order: new URL(order), inventory: new URL(inventory), payment: new URL(payment) };
}
