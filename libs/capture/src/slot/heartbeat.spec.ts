import { describe, expect, it } from '@jest/globals';
import { Heartbeat, type HeartbeatLook } from './heartbeat.js';

const MIB = 1_048_576n;

async function beats(...looks: readonly [seconds: number, confirmed: bigint, wal: bigint][]): Promise<boolean[]> {
  let emitted = 0;
  const heartbeat = new Heartbeat(() => {
    emitted += 1;
    return Promise.resolve();
  });
  const answers: boolean[] = [];
  for (const [seconds, confirmedLsn, walLsn] of looks) {
    const look: HeartbeatLook = { nowMs: seconds * 1_000, confirmedLsn, walLsn };
    answers.push(await heartbeat.look(look));
  }
  expect(emitted).toBe(answers.filter(Boolean).length);
  return answers;
}

describe('the heartbeat', () => {
  it('beats when the slot stands still while the WAL grows', async () => {
    expect(await beats([0, 10n, 10n + MIB], [5, 10n, 10n + MIB])).toEqual([false, true]);
  });

  it('beats at most every ten seconds', async () => {
    const still = [0, 1, 5, 10.9, 11, 12].map((at): [number, bigint, bigint] => [at, 10n, 10n + 2n * MIB]);
    expect(await beats(...still)).toEqual([false, true, false, false, true, false]);
  });

  it('is silent while the slot moves, and on a server that is idle but for the heartbeats', async () => {
    expect(await beats([0, 10n, 9n * MIB], [20, 11n, 9n * MIB], [40, 12n, 9n * MIB])).toEqual([false, false, false]);
    expect(await beats([0, 10n, 200n], [20, 10n, 400n], [40, 10n, 600n])).toEqual([false, false, false]);
  });
});
