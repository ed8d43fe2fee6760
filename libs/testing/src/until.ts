import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

const LONGEST_WAIT_MS = 60_000;
const LOOK_MS = 20;

/** Looks again and again, for 60 s at most; fails with what it waited for and what it saw last. */
export async function until<T>(look: () => Promise<T>, isWanted: (seen: T) => boolean, wanted: string): Promise<T> {
  const deadline = performance.now() + LONGEST_WAIT_MS;
  for (;;) {
    const seen = await look();
    if (isWanted(seen)) {
      return seen;
    }
    if (performance.now() > deadline) {
      throw new Error(`Waited in vain for ${wanted}; last seen: ${inspect(seen, { depth: 8, breakLength: Infinity })}`);
    }
    await sleep(LOOK_MS);
  }
}
