import { type LaneOffset, type LedgerNotes } from '@millrace/capture';
import { type Position } from '@millrace/events';
import { type RelayClock } from '../relay-clock.js';

/** A lane as it was when its end was read. */
export interface OpenedLane {
  readonly id: string;
  readonly topic: string;
  readonly topicId: string | null;
  readonly partition: number;
  /** The end of the lane. */
  readonly end: bigint;
  /** As it is in the ledger; `null`: there is no row of the lane, or one that does not count any more. */
  readonly noted: Pick<LaneOffset, 'nextOffset' | 'topicId'> | null;
  /** What the ledger has not settled of that which stands between the two. */
  readonly found: readonly Position[];
}

/** A send that the sink has confirmed. */
export interface ConfirmedSend {
  /** The offset after its last record. */
  readonly end: bigint;
  /** The page of its last event; 0: of no page, so it is settled with any write of the ledger that follows. */
  readonly page: number;
}

interface UnsettledSend extends ConfirmedSend {
  readonly sinceMs: number;
}

interface NotedLane {
  readonly id: string;
  readonly topic: string;
  readonly topicId: string | null;
  readonly partition: number;
  /** As it is, or is about to be, in the ledger. */
  next: bigint;
  /** Where all settled sends end; above `next` while events that were found in the lane are not settled. */
  settledTo: bigint;
  found: readonly Position[];
  /** Confirmed, in order, and not settled yet. */
  readonly unsettled: UnsettledSend[];
  /** When the first try of the send that is under way began. */
  sendingSinceMs: number | null;
  hasChanged: boolean;
  notedAtMs: number;
  checkpointed: bigint | null;
}

/** What the offsets are kept with. */
export interface LaneOffsetsParts {
  readonly clock: RelayClock;
  /** Of the ledger as it was written last. */
  readonly isSettled: (position: Position) => boolean;
}

/** Stale rows cost a longer tail at the next take-over, and nothing else: they need not go with every page. */
const NOTE_EVERY_MS = 250;
/** So the tail of an idle lane is never older, whoever else writes there. */
const REFRESH_EVERY_MS = 60_000;
const CHECKPOINT_EVERY_MS = 10_000;
/** Of one write of the ledger. */
const ROWS_MAX = 1_000;

/**
 * How far the ledger covers each lane of a claim: the offset below which everything that the route has sent there is
 * settled. It grows to the end of a confirmed send when that send, and all that were sent or found there before it, are in
 * the ledger. Pure but for the clock: `take` gives what the next write of the ledger is to note, and that write must
 * succeed or end the claim.
 */
export class LaneOffsets {
  private readonly lanes = new Map<string, NotedLane>();
  private readonly moving = new Set<NotedLane>();
  private readonly firstRows = new Set<NotedLane>();
  private forgotten: Pick<LaneOffset, 'topic' | 'partition'>[] = [];
  private writing: readonly string[] = [];
  private notedAtMs = Number.NEGATIVE_INFINITY;
  private checkpointAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: LaneOffsetsParts) {}

  /** A send waits for the next write of the ledger: the first row of its lane goes with it. */
  get isUrgent(): boolean {
    return this.firstRows.size > 0 || this.forgotten.length > 0;
  }

  /** The rows of the ledger are behind. */
  get hasChanges(): boolean {
    return [...this.moving].some((lane) => this.advance(lane));
  }

  /** Something that was found in a lane is not settled yet. */
  get hasFound(): boolean {
    return [...this.moving].some(({ found }) => found.length > 0);
  }

  /** The lane is no more what was noted of it: its row goes with the next write, unless the lane is opened before. */
  forget(lane: Pick<LaneOffset, 'topic' | 'partition'>): void {
    this.forgotten.push({ topic: lane.topic, partition: lane.partition });
  }

  /** From now on the lane is noted. Without a row in the ledger, nothing may be sent there until `written` has named it. */
  open({ noted, end, ...lane }: OpenedLane): void {
    const opened: NotedLane = {
      ...lane,
      next: noted?.nextOffset ?? end,
      settledTo: end,
      unsettled: [],
      sendingSinceMs: null,
      hasChanged: noted?.topicId !== lane.topicId,
      notedAtMs: this.parts.clock.monotonicMs(),
      checkpointed: null,
    };
    this.lanes.set(opened.id, opened);
    this.moving.add(opened);
    if (noted === null) {
      opened.hasChanged = true;
      this.firstRows.add(opened);
    }
  }

  /** A send begins, for the first time or again. */
  sending(laneId: string): void {
    const lane = this.lanes.get(laneId);
    if (lane !== undefined) {
      lane.sendingSinceMs ??= this.parts.clock.monotonicMs();
    }
  }

  confirmed(laneId: string, send: ConfirmedSend): void {
    const lane = this.lanes.get(laneId);
    if (lane !== undefined) {
      lane.unsettled.push({ ...send, sinceMs: lane.sendingSinceMs ?? this.parts.clock.monotonicMs() });
      lane.sendingSinceMs = null;
      this.moving.add(lane);
    }
  }

  /** Nothing of the send was stored, nor will be. */
  refused(laneId: string): void {
    const lane = this.lanes.get(laneId);
    if (lane !== undefined) {
      lane.sendingSinceMs = null;
    }
  }

  /** What goes with a write that settles all pages up to `page`. */
  take(page: number, isLast = false): Pick<LedgerNotes, 'offsets' | 'lanesGone' | 'checkpoint'> {
    const nowMs = this.parts.clock.monotonicMs();
    for (const lane of this.moving) {
      settleThrough(lane, page);
    }
    if (!this.isUrgent && !isLast && nowMs - this.notedAtMs < NOTE_EVERY_MS) {
      return {};
    }
    this.notedAtMs = nowMs;
    const offsets = this.changedRows(nowMs);
    const isNoted = ({ topic, partition }: Pick<LaneOffset, 'topic' | 'partition'>): boolean =>
      offsets.some((row) => row.topic === topic && row.partition === partition);
    const lanesGone = this.forgotten.filter((lane) => !isNoted(lane));
    this.forgotten = [];
    const checkpoint = this.checkpoint(nowMs);
    return {
      ...(offsets.length > 0 && { offsets }),
      ...(lanesGone.length > 0 && { lanesGone }),
      ...(checkpoint.length > 0 && { checkpoint }),
    };
  }

  /** The write for which `take` was called last has succeeded. Returns the lanes of which it was the first row. */
  written(): readonly string[] {
    const { writing } = this;
    this.writing = [];
    return writing;
  }

  private changedRows(nowMs: number): LaneOffset[] {
    const lanes: NotedLane[] = [];
    for (const lane of this.moving) {
      if (this.advance(lane)) {
        lanes.push(lane);
      } else if (lane.unsettled.length === 0 && lane.found.length === 0) {
        this.moving.delete(lane);
      }
    }
    for (const lane of this.lanes.values()) {
      const isIdle = !this.moving.has(lane) && lane.sendingSinceMs === null;
      if (isIdle && nowMs - lane.notedAtMs >= REFRESH_EVERY_MS) {
        lanes.push(lane);
      }
    }
    // what a send waits for goes first
    const rows = [...new Set([...this.firstRows, ...lanes])].slice(0, ROWS_MAX);
    this.writing = rows.filter((lane) => this.firstRows.delete(lane)).map(({ id }) => id);
    return rows.map((lane) => rowOf(lane, nowMs));
  }

  /** True: its row is behind. What was found in the lane, and is not settled, may be looked for again: until then it stays. */
  private advance(lane: NotedLane): boolean {
    if (lane.found.length > 0) {
      lane.found = lane.found.filter((position) => !this.parts.isSettled(position));
    }
    if (lane.found.length === 0 && lane.settledTo > lane.next) {
      lane.next = lane.settledTo;
      lane.hasChanged = true;
    }
    return lane.hasChanged && lane.found.length === 0;
  }

  private checkpoint(nowMs: number): NonNullable<LedgerNotes['checkpoint']> {
    if (nowMs - this.checkpointAtMs < CHECKPOINT_EVERY_MS) {
      return [];
    }
    const lanes = [...this.lanes.values()].filter(({ next, checkpointed }) => next !== checkpointed);
    for (const lane of lanes) {
      lane.checkpointed = lane.next;
    }
    this.checkpointAtMs = lanes.length > 0 ? nowMs : this.checkpointAtMs;
    return lanes.map(({ topic, partition, next }) => ({ topic, partition, nextOffset: next }));
  }
}

function settleThrough(lane: NotedLane, page: number): void {
  const later = lane.unsettled.findIndex((send) => send.page > page);
  // at once: behind a lane without an answer there may be a hundred thousand of them
  const settled = lane.unsettled.splice(0, later === -1 ? lane.unsettled.length : later);
  lane.settledTo = settled.at(-1)?.end ?? lane.settledTo;
}

function rowOf(lane: NotedLane, nowMs: number): LaneOffset {
  const { topic, topicId, partition, next: nextOffset } = lane;
  const sinceMs = lane.unsettled[0]?.sinceMs ?? lane.sendingSinceMs ?? nowMs;
  lane.hasChanged = false;
  lane.notedAtMs = nowMs;
  return { topic, topicId, partition, nextOffset, ageMs: nowMs - sinceMs };
}
