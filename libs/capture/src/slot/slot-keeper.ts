import { CaptureError } from '../capture.errors.js';
import { PgConnection, toCaptureError } from '../pg-connection.js';
import { type SlotClock, systemSlotClock } from './slot-clock.js';
import { type SlotClaim, SlotControl } from './slot-control.js';
import { SlotCreation } from './slot-creation.js';
import { expectedSlotName, outdatedSlots, slotHealth, type SlotExpectation, type SlotHealth } from './slot-health.js';
import { isNews, type SlotKeeperState } from './slot-keeper-state.js';
import { type SlotReading } from './slot-reading.js';

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 30_000;
const WATCH_MS = 500;
const STOP_MS = 2_000;
/** So many turns may each find another state without a wait: publication, old slot, new slot. */
const FREE_TURNS = 8;

/** What a claimed route hands to the keeper of its slot. */
export interface SlotKeeperParts {
  readonly databaseUrl: string;
  readonly applicationName: string;
  /** The route and the epoch that was won: the right to end an old owner's reader and to drop the slot. */
  readonly claim: SlotClaim;
  /** Makes failover slots where the server has them (17 and later); on by default. */
  readonly isFailover?: boolean;
  readonly clock?: SlotClock;
  /** Told of each change worth a log line; it must not throw. */
  readonly onState?: (state: SlotKeeperState) => void;
}

/** A look at the slot while it is in use. */
export interface SlotCheck {
  readonly reading: SlotReading;
  readonly health: SlotHealth;
}

type Goal = { readonly kind: 'have'; mustDrop: boolean } | { readonly kind: 'let-go'; readonly reason: string };

/** What a state of the slot asks for. */
type Remedy = 'make' | 'clear' | 'end-reader' | 'publication' | 'wait';

const REMEDY: Readonly<Record<Exclude<SlotHealth['kind'], 'ready'>, Remedy>> = {
  absent: 'make',
  creating: 'end-reader',
  busy: 'end-reader',
  invalidated: 'clear',
  'publication-missing': 'publication',
  'publication-wrong': 'publication',
  'publication-younger-than-slot': 'clear',
  'ahead-of-us': 'clear',
  'not-as-made': 'clear',
  'wal-level': 'wait',
  'no-slot-left': 'wait',
  'not-allowed': 'wait',
  'not-primary': 'wait',
};

/** How one turn of the work ended: over, worth another look at once, held up by a state, or failed. */
type Turn = 'done' | 'again' | SlotHealth | CaptureError;

/**
 * Has the slot of a claimed route made, and made anew, in the background, on connections of its own: nothing that
 * publishes waits for it. Its state is visible at any time.
 *
 * Order: the publication before the slot. What takes something away (dropping a slot, ending the reader or the unfinished
 * making of an owner that lost the route) is done under the claim's epoch, so the slot of a live owner is never touched.
 * Failure: everything is tried again with a growing wait of 30 s at most, except that another relay has the route.
 */
export class SlotKeeper {
  private current: SlotKeeperState = { kind: 'idle' };
  private control: SlotControl | undefined;
  private goal: Goal | null = null;
  private stopping = new AbortController();
  private work: Promise<void> = Promise.resolve();
  private isClosing = false;
  private isClosed = false;
  private readonly clock: SlotClock;

  constructor(private readonly parts: SlotKeeperParts) {
    this.clock = parts.clock ?? systemSlotClock;
  }

  get state(): SlotKeeperState {
    return this.current;
  }

  /** Begins to have a slot; returns at once. What is there and whole is kept; what is under way goes on. */
  start(): void {
    if (this.goal?.kind !== 'have') {
      this.pursue({ kind: 'have', mustDrop: false });
    }
  }

  /**
   * Drops the slot, whatever it looks like, and makes it anew. For what only the reader of the stream can know: the slot
   * is ahead of what was confirmed, or the stream passed over a row that the table shows. End the stream first.
   */
  remake(): void {
    this.pursue({ kind: 'have', mustDrop: true });
  }

  /** Drops the slot and has none until `start`. End the stream first. The reason becomes part of the state. */
  letGo(reason: string): void {
    this.pursue({ kind: 'let-go', reason });
  }

  /**
   * Ends what goes on in the background, an unfinished making included, and closes the connections; a server that does
   * not answer is not waited for longer than some seconds. The slot stays. Idempotent; what is asked for meanwhile is done.
   */
  async stop(): Promise<void> {
    const { stopping } = this;
    stopping.abort();
    const over = new AbortController();
    const ended = this.work.finally(() => {
      over.abort();
    });
    await this.clock.pause(STOP_MS, over.signal);
    await this.control?.close();
    await ended;
    if (this.stopping === stopping) {
      await this.control?.close();
      this.control = undefined;
      this.enter({ kind: 'idle' });
    }
  }

  /** Stops for good: a read that is still under way, and finds its stream closed, begins nothing anew. */
  async close(): Promise<void> {
    this.isClosing = true;
    await this.stop();
    this.isClosed = true;
    await this.control?.close();
  }

  /**
   * Looks at the slot in use: after the stream has begun (only then nobody else can move it), and every ten seconds.
   * Anything but `ready` means: end the stream, poll, `start` again, or `remake` where the slot is `ahead-of-us`.
   * `known` is asked after the look: what is confirmed meanwhile moves the slot. Throws `CaptureError`.
   */
  async check(known: () => Pick<SlotExpectation, 'ourPid' | 'confirmedLsn'>): Promise<SlotCheck> {
    const reading = await this.using((control) => control.read());
    return { reading, health: this.judge(reading, known()) };
  }

  /** Writes a message into the WAL that moves an idle slot on (`Heartbeat` says when). Throws `CaptureError`. */
  async emitHeartbeat(): Promise<void> {
    await this.using((control) => control.emitHeartbeat());
  }

  private judge(reading: SlotReading, known: Pick<SlotExpectation, 'ourPid' | 'confirmedLsn'>): SlotHealth {
    const { claim, isFailover = true } = this.parts;
    return slotHealth(reading, { ...known, isFailover, route: claim.route });
  }

  private pursue(goal: Goal): void {
    if (this.isClosing) {
      return;
    }
    this.stopping.abort();
    const stopping = new AbortController();
    this.stopping = stopping;
    this.goal = goal;
    this.enter({ kind: 'looking' }); // what was known before is not true any more
    this.work = this.work.then(async () => {
      await this.run(goal, stopping.signal);
      this.goal = this.goal === goal ? null : this.goal;
    });
  }

  private async run(goal: Goal, signal: AbortSignal): Promise<void> {
    let before = '';
    let repeats = 0;
    const isOver = (): boolean => signal.aborted;
    for (let turns = 0; !isOver(); turns += 1) {
      const turn = await this.turn(goal, signal).catch((error: unknown) => toCaptureError(error));
      if (turn === 'done' || isOver()) {
        return;
      }
      const now = nameOf(turn);
      repeats = now === before ? repeats + 1 : 0;
      before = now;
      const waitMs = waitAfter(turn, Math.max(repeats, turns - FREE_TURNS));
      this.show(turn, waitMs);
      if (waitMs === null) {
        return;
      }
      await this.clock.pause(waitMs, signal);
    }
  }

  private show(turn: Exclude<Turn, 'done'>, retryInMs: number | null): void {
    if (turn instanceof CaptureError) {
      this.enter({ kind: 'failed', error: turn, retryInMs });
    } else if (turn !== 'again') {
      this.enter({ kind: 'held-up', health: turn, retryInMs: retryInMs ?? 0 });
    }
  }

  /** One look and what it asks for. */
  private async turn(goal: Goal, signal: AbortSignal): Promise<Turn> {
    const { route } = this.parts.claim;
    const reading = await this.using((control) => control.read());
    const health = this.judge(reading, { ourPid: null, confirmedLsn: null });
    if (goal.kind === 'let-go') {
      return this.letGoNow(goal.reason, reading, health);
    }
    if (goal.mustDrop && health.kind !== 'not-primary' && reading.slots.length > 0) {
      await this.clear(reading);
      return 'again';
    }
    goal.mustDrop = false;
    if (health.kind === 'ready') {
      await this.drop(outdatedSlots(reading, route));
      this.enter(health);
      return 'done';
    }
    return this.remedy(health, reading, signal);
  }

  private async letGoNow(reason: string, reading: SlotReading, health: SlotHealth): Promise<Turn> {
    if (health.kind === 'not-primary' || reading.slots.length === 0) {
      this.enter({ kind: 'let-go', reason });
      return 'done';
    }
    await this.clear(reading);
    return 'again';
  }

  private async remedy(
    health: Exclude<SlotHealth, { kind: 'ready' }>,
    reading: SlotReading,
    signal: AbortSignal,
  ): Promise<Turn> {
    switch (REMEDY[health.kind]) {
      case 'make':
        await this.create(reading, signal);
        return 'again';
      case 'clear':
        await this.clear(reading);
        return health;
      case 'end-reader':
        await this.using((control) => control.endReaders(null));
        return health;
      case 'publication':
        await this.using((control) => control.ensurePublication());
        return health;
      case 'wait':
        return health;
    }
  }

  /** Drops all slots of the route; those that are in use lose their reader now and go at the next turn. */
  private async clear(reading: SlotReading): Promise<void> {
    if (reading.slots.some((slot) => slot.activePid !== null)) {
      await this.using((control) => control.endReaders(null));
    }
    await this.drop(reading.slots);
  }

  private async drop(slots: SlotReading['slots']): Promise<void> {
    const idle = slots.filter((slot) => slot.activePid === null).map((slot) => slot.name);
    if (idle.length > 0) {
      await this.using((control) => control.drop(idle));
    }
  }

  /** Makes the slot and shows, while it waits, for whom. Throws what the making throws. */
  private async create(reading: SlotReading, signal: AbortSignal): Promise<void> {
    const { databaseUrl, applicationName, claim, isFailover = true } = this.parts;
    const { serverVersion } = reading;
    const name = expectedSlotName(reading, claim.route);
    const creation = new SlotCreation({ databaseUrl, applicationName, name, serverVersion, isFailover });
    const sinceMs = this.clock.nowMs();
    this.enter({ kind: 'creating', name, pid: null, waitingFor: null, sinceMs });
    const over = new AbortController();
    const outcome = creation
      .run()
      .then(
        () => null,
        (error: unknown) => toCaptureError(error),
      )
      .finally(() => {
        over.abort();
      });
    try {
      await this.watchCreation(name, sinceMs, AbortSignal.any([signal, over.signal]));
    } finally {
      if (!over.signal.aborted) {
        await this.cancel(creation);
      }
    }
    const error = await outcome;
    if (error !== null && !signal.aborted) {
      throw error;
    }
  }

  private async watchCreation(name: string, sinceMs: number, over: AbortSignal): Promise<void> {
    await this.clock.pause(WATCH_MS, over);
    while (!over.aborted) {
      const { slots } = await this.using((control) => control.read());
      const slot = slots.find((one) => one.name === name);
      const waitingFor = slot?.waitingFor ?? null;
      this.enter({ kind: 'creating', name, pid: slot?.activePid ?? null, waitingFor, sinceMs });
      await this.clock.pause(WATCH_MS, over);
    }
  }

  /** The backend would notice within two seconds that we are gone; it is ended so that none is left behind. */
  private async cancel(creation: SlotCreation): Promise<void> {
    creation.cancel();
    await this.using((control) => control.endReaders(null)).catch(() => undefined); // then it notices by itself
  }

  /** A connection that failed is never used again. */
  private async using<Result>(work: (control: SlotControl) => Promise<Result>): Promise<Result> {
    if (this.isClosed) {
      throw new CaptureError('fenced', 'The route is given back; its slot is not looked after here any more.');
    }
    const { databaseUrl, applicationName, claim } = this.parts;
    const control = (this.control ??= new SlotControl(new PgConnection({ databaseUrl, applicationName }), claim));
    try {
      return await work(control);
    } catch (error) {
      if (this.control === control) {
        this.control = undefined;
      }
      await control.close();
      throw error;
    }
  }

  private enter(state: SlotKeeperState): void {
    const before = this.current;
    this.current = state;
    if (isNews(before, state)) {
      this.parts.onState?.(state);
    }
  }
}

function nameOf(turn: Exclude<Turn, 'done'>): string {
  if (turn instanceof CaptureError) {
    return turn.code;
  }
  return turn === 'again' ? turn : turn.kind;
}

/** `null`: there is nothing to try again. */
function waitAfter(turn: Exclude<Turn, 'done'>, attempt: number): number | null {
  if (turn instanceof CaptureError && turn.code === 'fenced') {
    return null;
  }
  const waitMs = attempt <= 0 ? 0 : Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempt - 1, 20));
  return turn instanceof CaptureError ? Math.max(waitMs, RETRY_MIN_MS) : waitMs;
}
