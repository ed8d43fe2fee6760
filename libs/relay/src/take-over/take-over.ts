import { type StoredLaneOffset } from '@millrace/capture';
import { type SinkLane } from '@millrace/transport';
import { backoffMs } from '../backoff.js';
import { sinkProblemOf, type SinkProblem } from '../problem.js';
import { type PumpClaim } from '../pump-parts.js';
import { type RelayTimer } from '../relay-clock.js';
import { type RouteMeter } from '../route-meter.js';
import { isOwnPartition } from '../route-shard.js';
import { type RouteProblem } from '../route-state.js';
import { sleep } from '../waiting.js';
import { type EventRef, FoundRecords } from './found-records.js';
import { LaneDoors } from './lane-doors.js';
import { LaneOffsets } from './lane-offsets.js';
import { lostLanes } from './lost-lanes.js';
import {
  isPassing,
  laneIdOf,
  type LostLane,
  type ReadLane,
  readTails,
  TailReading,
  type TailReadingParts,
} from './tail-reading.js';
import { ZombieWatch } from './zombie-watch.js';

/** What a take-over works with. */
export interface TakeOverParts extends Pick<TailReadingParts, 'route' | 'sink' | 'clock' | 'random' | 'gate'> {
  readonly meter: RouteMeter;
  readonly claim: Pick<PumpClaim, 'capture' | 'epoch' | 'held' | 'laneOffsets' | 'acceptsLosses'>;
}

/** What a take-over tells its owner. */
export interface TakeOverEvents {
  /** The ledger has to be written soon: sends wait for what is noted with it. */
  noteNeeded(): void;
  /** A problem may have come or gone. */
  changed(): void;
  /** Lanes have lost what the ledger takes for stored. */
  refused(problem: RouteProblem): void;
}

/** A send that the sink has confirmed. */
export interface StoredSend {
  /** `null`: the sink has no offsets. */
  readonly baseOffset: bigint | null;
  readonly count: number;
  /** The page of its last event; 0: of none. */
  readonly page: number;
}

/** So long the lanes that were read wait for the others. */
const TOGETHER_MS = 2_000;

/**
 * What a new owner of a route does before it publishes: reads each lane from where the ledger covers it to its end, so
 * that nothing that stands there is sent again. All lanes that can be read at once are read before any of them is sent to,
 * since an event may stand in another lane than it would go to now (a topic that grew, a key or topic that is made
 * otherwise); a lane that cannot be read, or takes long, holds up no other, but for lanes that the route has never sent
 * to, which wait for all. Afterwards it notes how far the ledger covers each lane, for the
 * next owner. A sink that cannot be read has no lanes to wait for, and nothing is noted.
 */
export class TakeOver {
  readonly offsets: LaneOffsets;
  private readonly zombies: ZombieWatch;
  private readonly reading: TailReading;
  private readonly doors = new LaneDoors();
  private readonly found = new FoundRecords();
  private readonly unread = new Map<string, StoredLaneOffset>();
  /** Without a row in the ledger. */
  private readonly newLanes = new Map<string, SinkLane>();
  private readonly over = new AbortController();
  private readonly isInert: boolean;
  private readonly hasHeld: boolean;
  private allRead: Promise<void> = Promise.resolve();
  private isNoting = false;
  private failure: SinkProblem | null = null;
  private startedMs = 0;
  private together: RelayTimer | null = null;

  constructor(
    private readonly parts: TakeOverParts,
    private readonly events: TakeOverEvents,
  ) {
    const { sink, route, claim } = parts;
    const { capture, held, epoch, laneOffsets = [], acceptsLosses = false } = claim;
    const { signal } = this.over;
    const isSettled = capture.isSettled.bind(capture);
    this.isInert = sink.readTails === undefined;
    this.hasHeld = held !== undefined && held.stored.length > 0;
    this.offsets = new LaneOffsets({ clock: parts.clock, isSettled });
    this.zombies = new ZombieWatch({ ...parts, epoch, signal });
    for (const lane of this.isInert ? [] : laneOffsets) {
      if (isOwnPartition(route.shard, lane.partition)) {
        this.unread.set(laneIdOf(lane), lane);
      }
    }
    const reading = { ...parts, isSettled, hasHeld: this.hasHeld, acceptsLosses, signal };
    this.reading = new TailReading(reading, this.unread, this.found, {
      read: (lane) => {
        this.read(lane);
      },
      unreadable: (lane) => {
        parts.meter.tailNotRead({ lane: laneIdOf(lane), problem: sinkProblemOf(lane.error) });
        this.doors.openSoon(laneIdOf(lane));
      },
      lost: (lanes) => this.lost(lanes),
      roundEnded: (problem) => {
        this.openRead();
        this.tellProblem(problem);
      },
    });
  }

  /** Lanes that are still to be read before anything is sent there. */
  get unreadLanes(): number {
    return this.unread.size;
  }

  /** Why lanes are not read yet; `null` when all are, or will be in a moment. */
  get problem(): RouteProblem | null {
    const readingMs = this.unread.size === 0 ? 0 : this.parts.clock.monotonicMs() - this.startedMs;
    return this.failure ?? (readingMs > this.parts.route.tuning.stalledAfterMs ? readingTail(this.unread.size) : null);
  }

  /** Begins to read. */
  start(): void {
    this.startedMs = this.parts.clock.monotonicMs();
    if (this.unread.size > 0) {
      this.doors.gather();
      this.together = this.parts.clock.after(TOGETHER_MS, () => {
        this.openRead();
      });
      this.allRead = this.readAll(this.unread.size);
    }
  }

  /** Something may be sent to the lane. */
  isOpen(lane: SinkLane): boolean {
    return this.isInert || this.doors.isOpen(lane.id);
  }

  /** Resolves when something may be sent to the lane; `null`: now. */
  whenOpen(lane: SinkLane): Promise<void> | null {
    if (this.isOpen(lane)) {
      return null;
    }
    if (!this.unread.has(lane.id) && !this.doors.isReady(lane.id)) {
      this.note(lane);
    }
    return this.doors.whenOpen(lane.id);
  }

  /** The event stands in a lane already. */
  isPublished(event: EventRef): boolean {
    return this.found.has(event);
  }

  /** A send is about to begin. */
  sending(lane: SinkLane): void {
    this.offsets.sending(lane.id);
  }

  confirmed(lane: SinkLane, { baseOffset, count, page }: StoredSend): void {
    if (baseOffset !== null) {
      this.offsets.confirmed(lane.id, { end: baseOffset + BigInt(count), page });
      this.zombies.confirmed(lane.id, baseOffset, count);
    }
  }

  /** The sink has stored nothing of a send, and never will. */
  refused(lane: SinkLane): void {
    this.offsets.refused(lane.id);
  }

  /** The write that took what `offsets` had to note has succeeded. */
  written(): void {
    for (const id of this.offsets.written()) {
      this.doors.open(id);
    }
    if (this.unread.size === 0 && !this.hasHeld && !this.offsets.hasFound) {
      this.found.clear();
    }
  }

  /** Reads no more. What waits for a lane waits for ever. */
  close(): void {
    this.together?.cancel();
    this.over.abort();
  }

  private openRead(): void {
    this.together?.cancel();
    if (!this.isOver()) {
      this.doors.openReady();
    }
  }

  private async readAll(lanes: number): Promise<void> {
    const { clock, meter } = this.parts;
    await this.reading.run();
    if (!this.isOver()) {
      const durationMs = clock.monotonicMs() - this.startedMs;
      const { size: found, leftOutCount: notRemembered } = this.found;
      meter.tailsRead({ lanes, records: this.reading.records, found, notRemembered, durationMs });
    }
  }

  private isOver(): boolean {
    return this.over.signal.aborted;
  }

  private read(lane: ReadLane): void {
    const id = laneIdOf(lane);
    this.offsets.open({ ...lane, id, noted: this.unread.get(id) ?? null });
    this.zombies.opened({ ...lane, id }, lane.end);
    this.doors.openSoon(id);
  }

  private lost(lanes: readonly LostLane[]): boolean {
    const { route, claim, meter } = this.parts;
    if (claim.acceptsLosses !== true) {
      const problem = lostLanes(route.name, lanes, this.unread);
      this.close();
      this.events.refused(problem);
      return false;
    }
    for (const lane of lanes) {
      const id = laneIdOf(lane);
      meter.lossAccepted({ lane: id, kind: lane.kind });
      this.offsets.forget(lane);
      if (this.doors.isWaitedFor(id)) {
        this.note({ ...lane, id });
      }
    }
    this.events.noteNeeded();
    return true;
  }

  private note(lane: SinkLane): void {
    this.newLanes.set(lane.id, lane);
    if (!this.isNoting) {
      this.isNoting = true;
      void this.noteNewLanes().finally(() => {
        this.isNoting = false;
      });
    }
  }

  /** The ends of lanes are noted before anything is sent there: without them the next owner had nothing to begin from. */
  private async noteNewLanes(): Promise<void> {
    // where a topic has got more lanes, what was sent to one before may belong to another now: all must be known
    await this.allRead;
    const { clock, random, route } = this.parts;
    const { sendRetryMinMs: minMs, sendRetryMaxMs: maxMs } = route.tuning;
    for (let attempt = 1; this.newLanes.size > 0 && !this.isOver(); attempt += 1) {
      this.tellProblem(await this.readNewLanes());
      if (this.offsets.isUrgent && !this.isOver()) {
        this.events.noteNeeded();
      }
      if (this.newLanes.size > 0) {
        await sleep(clock, backoffMs(attempt, { minMs, maxMs }, random), this.over.signal);
      }
    }
  }

  private async readNewLanes(): Promise<SinkProblem | null> {
    const problems: SinkProblem[] = [];
    const lanes = [...this.newLanes.values()].map(({ topic, partition }) => ({ topic, partition, from: null }));
    const parts = { ...this.parts, signal: this.over.signal };
    await readTails(parts, {
      lanes,
      take: () => undefined,
      ended: (end) => {
        const id = laneIdOf(end);
        if (end.kind === 'read') {
          this.newLanes.delete(id);
          this.offsets.open({ ...end, id, noted: null, found: [] });
        } else if (end.kind === 'failed' && isPassing(end)) {
          problems.push(sinkProblemOf(end.error));
        } else if (end.kind === 'failed') {
          this.newLanes.delete(id);
          this.doors.open(id);
        }
      },
    }).catch((error: unknown) => {
      problems.push(sinkProblemOf(error));
    });
    return problems[0] ?? null;
  }

  private tellProblem(problem: SinkProblem | null): void {
    this.failure = problem;
    if (!this.isOver()) {
      this.events.changed();
    }
  }
}

function readingTail(lanes: number): RouteProblem {
  const message =
    `The relay reads the ends of ${lanes} lanes, so that it sends nothing that stands there already. It publishes to each ` +
    'of them as soon as that is done.';
  return { side: 'relay', code: 'reading_tail', message };
}
