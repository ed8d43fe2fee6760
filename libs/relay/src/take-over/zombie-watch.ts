import { type Epoch, HEADER } from '@millrace/events';
import { type Delivery, type SinkLane, type SinkPort } from '@millrace/transport';
import { publishedRecordOf } from '../published-record.js';
import { type RelayClock } from '../relay-clock.js';
import { type Route } from '../route-config.js';
import { type RouteMeter } from '../route-meter.js';

export interface ZombieWatchParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly meter: RouteMeter;
  readonly epoch: Epoch;
  readonly signal: AbortSignal;
}

/** For so long after a lane was opened, a dead owner's send may still come out of a queue of the broker or the network. */
const WATCH_MS = 60_000;
/** What is looked at of one lane: others may write there as well. */
const RECORDS_MAX = 50_000n;

interface WatchedLane {
  readonly lane: SinkLane;
  readonly sinceMs: number;
  expected: bigint;
  looked: bigint;
  /** What lies between our own sends and has not been looked at. */
  holes: { readonly from: bigint; readonly to: bigint }[];
}

/**
 * Counts the records that an earlier owner of the route has stored after this one had read the ends of the lanes. It only
 * measures: nothing is settled by it, and its failures tell nobody anything.
 */
export class ZombieWatch {
  private readonly lanes = new Map<string, WatchedLane>();
  private isLooking = false;

  constructor(private readonly parts: ZombieWatchParts) {}

  opened(lane: SinkLane, end: bigint): void {
    const sinceMs = this.parts.clock.monotonicMs();
    this.lanes.set(lane.id, { lane, sinceMs, expected: end, looked: 0n, holes: [] });
  }

  confirmed(laneId: string, baseOffset: bigint, count: number): void {
    const watched = this.lanes.get(laneId);
    if (watched === undefined) {
      return;
    }
    const { expected, sinceMs, looked } = watched;
    watched.expected = baseOffset + BigInt(count);
    if (baseOffset > expected) {
      watched.looked += baseOffset - expected;
      watched.holes.push({ from: expected, to: baseOffset });
      void this.look();
    }
    if (this.parts.clock.monotonicMs() - sinceMs >= WATCH_MS || looked >= RECORDS_MAX) {
      this.lanes.delete(laneId);
    }
  }

  private async look(): Promise<void> {
    if (this.isLooking) {
      return;
    }
    this.isLooking = true;
    for (let next = this.nextHole(); next !== null && !this.parts.signal.aborted; next = this.nextHole()) {
      await this.read(next).catch(() => undefined);
    }
    this.isLooking = false;
  }

  private nextHole(): (WatchedLane['holes'][number] & { readonly lane: SinkLane }) | null {
    for (const { lane, holes } of this.lanes.values()) {
      const hole = holes.shift();
      if (hole !== undefined) {
        return { ...hole, lane };
      }
    }
    return null;
  }

  private async read({ lane, from, to }: { lane: SinkLane; from: bigint; to: bigint }): Promise<void> {
    const { sink, signal, meter } = this.parts;
    const { topic, partition } = lane;
    let records = 0;
    await sink.readTails?.({
      lanes: [{ topic, partition, from: { offset: from, topicId: null, sinceMs: 0, to } }],
      signal,
      take: (found) => {
        records += found.filter((record) => this.isOfEarlierOwner(record)).length;
      },
      ended: () => undefined,
    });
    if (records > 0) {
      meter.zombieRecords({ lane: lane.id, records });
    }
  }

  private isOfEarlierOwner(record: Delivery): boolean {
    const epoch = record.headers.get(HEADER.epoch)?.toString() ?? '';
    const isOurs = publishedRecordOf(record, this.parts.route) !== null;
    return isOurs && /^\d{1,19}$/.test(epoch) && BigInt(epoch) < this.parts.epoch;
  }
}
