import { type StoredLaneOffset } from '@millrace/capture';
import { HEADER, type Position } from '@millrace/events';
import { type Delivery, type SinkPort, type TailEnd, type TailStart } from '@millrace/transport';
import { backoffMs } from '../backoff.js';
import { sinkProblemOf, type SinkProblem } from '../problem.js';
import { publishedRecordOf } from '../published-record.js';
import { type RelayClock, type RelayRandom } from '../relay-clock.js';
import { type Route } from '../route-config.js';
import { type SendGate } from '../send-gate.js';
import { sendPolicyFor } from '../send-policy.js';
import { sleep } from '../waiting.js';
import { type FoundRecords } from './found-records.js';

/** What tails are read with. */
export interface TailReadingParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  readonly gate: SendGate;
  /** Of the ledger as it was written last. */
  readonly isSettled: (position: Position) => boolean;
  /** Events are held: what is settled may be sent all the same. */
  readonly hasHeld: boolean;
  /** Lanes that have lost what was stored there are taken as they are. */
  readonly acceptsLosses: boolean;
  readonly signal: AbortSignal;
}

/** A lane that was read, and what stands there that the ledger does not know of. */
export type ReadLane = Extract<TailEnd, { kind: 'read' }> & { readonly found: readonly Position[] };

/** A lane that is not what was noted of it. */
export type LostLane = Extract<TailEnd, { kind: 'replaced' | 'cut' }>;

/** What the reading tells its owner, of each lane once. */
export interface TailReadingEvents {
  read(lane: ReadLane): void;
  /** The sink does not let us read there, or not in a form that we know: nothing better comes by waiting. */
  unreadable(lane: Extract<TailEnd, { kind: 'failed' }>): void;
  /** False: the route cannot go on, and nothing more is to be read. */
  lost(lanes: readonly LostLane[]): boolean;
  /** After each round. `null`: nothing has failed in it. */
  roundEnded(problem: SinkProblem | null): void;
}

/** A lane that its sink says is not what it was is looked at so often: a broker that lags behind may be wrong. */
const LOSS_LOOKS = 4;
const LOSS_PAUSE_MS = 500;
/** The clocks of the database and of those that stamp records differ by less. */
const SLACK_MS = 600_000;

/** Reads the ends of lanes until each was read, or cannot be. What fails for a while is tried again. */
export class TailReading {
  /** Records that were read, whoever had sent them. */
  records = 0;
  private readonly foundIn = new Map<string, Position[]>();
  private readonly told: Promise<unknown>;
  private lostLooks = 0;

  /** `unread` is by `topic/partition`; lanes are taken out when they are done with. */
  constructor(
    private readonly parts: TailReadingParts,
    private readonly unread: Map<string, StoredLaneOffset>,
    private readonly found: FoundRecords,
    private readonly events: TailReadingEvents,
  ) {
    this.told = new Promise((resolve) => {
      parts.signal.addEventListener('abort', resolve, { once: true });
    });
  }

  /** Ends early when told to. Never rejects. */
  async run(): Promise<void> {
    for (let failures = 0; this.unread.size > 0 && !this.isOver();) {
      await this.oneFree();
      const { problem, lost } = await this.round();
      if (this.isOver() || !this.takeLost(lost)) {
        return;
      }
      this.events.roundEnded(problem);
      failures = problem === null ? 0 : failures + 1;
      await this.pause(failures, this.unread.size > 0 && lost.length > 0);
    }
  }

  private isOver(): boolean {
    return this.parts.signal.aborted;
  }

  /** A send of an earlier claim of this process may still be stored: its lane is read when that has ended. */
  private async oneFree(): Promise<void> {
    const busy = [...this.unread.keys()].map((id) => this.parts.gate.whenFree(id));
    if (!busy.includes(null)) {
      await Promise.race([this.told, ...busy]);
    }
  }

  private async round(): Promise<{ readonly problem: SinkProblem | null; readonly lost: readonly LostLane[] }> {
    const problems: SinkProblem[] = [];
    const lost: LostLane[] = [];
    const free = [...this.unread].filter(([id]) => this.parts.gate.whenFree(id) === null);
    this.foundIn.clear();
    const ended = (end: TailEnd): void => {
      if (end.kind === 'replaced' || end.kind === 'cut') {
        lost.push(end);
      } else if (end.kind === 'failed' && isPassing(end)) {
        problems.push(sinkProblemOf(end.error));
      } else {
        this.done(end);
      }
    };
    const lanes = free.map(([, lane]) => startOf(lane));
    await readTails(this.parts, { lanes, take: this.take.bind(this), ended }).catch((error: unknown) => {
      problems.push(sinkProblemOf(error));
    });
    return { problem: problems[0] ?? null, lost };
  }

  private take(records: readonly Delivery[]): void {
    const { route, isSettled, hasHeld } = this.parts;
    this.records += records.length;
    for (const record of records) {
      // what was published again on purpose does not stand for the event itself
      const published = record.headers.has(HEADER.replay) ? null : publishedRecordOf(record, route);
      if (published === null || (isSettled(published.position) && !hasHeld) || !this.found.add(published)) {
        continue;
      }
      const id = laneIdOf(published);
      const positions = this.foundIn.get(id) ?? [];
      this.foundIn.set(id, positions);
      positions.push(published.position);
    }
  }

  private done(end: Extract<TailEnd, { kind: 'read' | 'failed' }>): void {
    const id = laneIdOf(end);
    if (end.kind === 'read') {
      const found = (this.foundIn.get(id) ?? []).filter((position) => !this.parts.isSettled(position));
      this.events.read({ ...end, found });
    } else {
      this.events.unreadable(end);
    }
    this.unread.delete(id);
  }

  /** False: nothing more is to be read. */
  private takeLost(lost: readonly LostLane[]): boolean {
    this.lostLooks = lost.length > 0 ? this.lostLooks + 1 : 0;
    if (lost.length === 0 || (this.lostLooks < LOSS_LOOKS && !this.parts.acceptsLosses)) {
      return true;
    }
    if (!this.events.lost(lost)) {
      return false;
    }
    for (const lane of lost) {
      this.unread.delete(laneIdOf(lane));
    }
    return true;
  }

  private async pause(failures: number, isLost: boolean): Promise<void> {
    const { clock, random, route, signal } = this.parts;
    const { sendRetryMinMs: minMs, sendRetryMaxMs: maxMs } = route.tuning;
    const failureMs = failures === 0 ? 0 : backoffMs(failures, { minMs, maxMs }, random);
    const delayMs = Math.max(failureMs, isLost ? LOSS_PAUSE_MS : 0);
    if (delayMs > 0) {
      await sleep(clock, delayMs, signal);
    }
  }
}

/** As lanes are named. */
export function laneIdOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

/** May be read later. */
export function isPassing({ error }: Extract<TailEnd, { kind: 'failed' }>): boolean {
  return sendPolicyFor(error.code).action !== 'stop';
}

/** One reading; what comes after `signal` is dropped. A sink that cannot be read has nothing to tell. */
export async function readTails(
  { sink, signal }: Pick<TailReadingParts, 'sink' | 'signal'>,
  { lanes, take, ended }: Pick<Parameters<NonNullable<SinkPort['readTails']>>[0], 'lanes' | 'take' | 'ended'>,
): Promise<void> {
  await sink.readTails?.({
    lanes,
    signal,
    take,
    ended: (end) => {
      if (!signal.aborted) {
        ended(end);
      }
    },
  });
}

function startOf({ topic, partition, nextOffset: offset, topicId, atMs }: StoredLaneOffset): TailStart {
  return { topic, partition, from: { offset, topicId, sinceMs: atMs - SLACK_MS } };
}
