import { setTimeout as sleep } from 'node:timers/promises';
import { type CapturePort, createPollingSource, type SourcePort } from '@millrace/capture';

/** What a reader saw until it was told to stop and had drained. */
export interface Reading {
  readonly ids: string[];
  /** Events that came with a version not above the one before of their key. */
  readonly reordered: string[];
  gapRangesMax: number;
  low: bigint;
  high: bigint;
  gapRanges: number;
}

/** Claims the route; throws when somebody has it. */
export async function claimRoute(source: SourcePort, owner = 'reader'): Promise<CapturePort> {
  const claim = await source.claim({
    route: 'accounts',
    owner,
    ttlMs: 30_000,
    from: { kind: 'earliest' },
    aggregateTypes: ['account'],
  });
  if (claim.kind === 'held') {
    throw new Error(`The route is held by ${claim.owner}.`);
  }
  return claim.capture;
}

/** Reads and settles pages until `isDone` and a page has come back empty. */
export async function readAll(
  options: { readonly databaseUrl: string; readonly pageRowsMax: number },
  isDone: (reading: Reading) => boolean,
): Promise<Reading> {
  const capture = await claimRoute(createPollingSource({ name: 'test', ...options }));
  const reading: Reading = { ids: [], reordered: [], gapRangesMax: 0, low: 0n, high: 0n, gapRanges: 0 };
  const versions = new Map<string, number>();
  for (let isIdle = false; !(isIdle && isDone(reading));) {
    const page = await capture.nextPage();
    for (const event of page.events) {
      const version = Number(event.aggregateVersion);
      if (version <= (versions.get(event.aggregateId) ?? 0)) {
        reading.reordered.push(`${event.aggregateId} version ${version}`);
      }
      versions.set(event.aggregateId, version);
      reading.ids.push(event.id);
    }
    if (page.isChanged) {
      await capture.settle(page);
    }
    const status = capture.status();
    Object.assign(reading, { low: status.low, high: status.high, gapRanges: status.gapRanges });
    reading.gapRangesMax = Math.max(reading.gapRangesMax, status.gapRanges);
    isIdle = page.rowCount === 0;
    if (isIdle) {
      await sleep(2);
    }
  }
  await capture.close();
  return reading;
}
