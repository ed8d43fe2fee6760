import { setTimeout as sleep } from 'node:timers/promises';
import {
  archiveDirectoryProblem,
  archiveLeavesTo,
  CaptureError,
  createRetentionKeeper,
  LeftSlots,
  readRetentionStatus,
  type RetentionAlarm,
  type RetentionKeeper,
  type RetentionReport,
  type RetentionStatus,
} from '@millrace/capture';
import { type RetentionConfig } from '../config/relay-config.js';
import { type RetentionPace } from './retention-pace.js';
import { type RetentionListener, type RetentionProblem } from './retention-listener.js';

/** What retention of one source needs. */
export interface SourceRetentionParts {
  readonly source: string;
  readonly databaseUrl: string;
  /** Without it the history is looked at and nothing is removed. */
  readonly retention: RetentionConfig | undefined;
  readonly pace: RetentionPace;
  readonly listener: RetentionListener;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** What is known of the history of one source. */
export interface SourceHistory {
  readonly source: string;
  readonly retention: RetentionConfig | undefined;
  /** The last run that got to its end; `null` before it. */
  readonly lastRun: LastRun | null;
  /** Why the latest run failed; `null` when it did not. */
  readonly problem: RetentionProblem | null;
  readonly alarms: readonly RetentionAlarm[];
}

/** A run that got to its end. */
export interface LastRun {
  /** Wall clock. */
  readonly atMs: number;
  readonly status: RetentionStatus;
  /** `null` where nothing is ever removed. */
  readonly report: RetentionReport | null;
}

const STOP_MS = 2_000;

/**
 * Runs the retention of one source, and lets the slots of routes go that nobody runs, at its pace, on connections of its
 * own, from `start` to `stop`: it disturbs neither routes nor other sources, whatever its database does. Every relay runs it; the database decides under its locks.
 */
export class SourceRetention {
  private readonly keeper: RetentionKeeper | null;
  private readonly slots: LeftSlots;
  private stopping = new AbortController();
  private nap = new AbortController();
  private life: Promise<void> | null = null;
  private lastRun: LastRun | null = null;
  private problem: RetentionProblem | null = null;
  private alarms: readonly RetentionAlarm[] = [];

  constructor(private readonly parts: SourceRetentionParts) {
    const { source, databaseUrl, listener } = parts;
    this.keeper = parts.retention === undefined ? null : keeperOf(parts, parts.retention);
    this.slots = new LeftSlots({ source, databaseUrl, observer: listener.observer });
  }

  get source(): string {
    return this.parts.source;
  }

  get databaseUrl(): string {
    return this.parts.databaseUrl;
  }

  /** Idempotent. Returns at once and never throws. */
  start(): void {
    if (this.life === null) {
      this.stopping = new AbortController();
      this.life = this.live();
    }
  }

  /** Cuts off what is under way: that can be done at any time. Idempotent, safe before `start`. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.nap.abort();
    const life = this.life;
    this.life = null;
    if (life !== null) {
      const given = new AbortController();
      // a connection that is just being opened to a host that does not answer holds nobody up
      const limit = sleep(STOP_MS, undefined, { signal: given.signal }).catch(() => undefined);
      await Promise.race([Promise.all([life, this.keeper?.stop()]), limit]);
      given.abort();
    }
  }

  /** The next run is now instead of after the wait. */
  runSoon(): void {
    this.nap.abort();
  }

  /** As the latest run left it. Touches no server. */
  history(): SourceHistory {
    const { source, retention } = this.parts;
    return { source, retention, lastRun: this.lastRun, problem: this.problem, alarms: this.alarms };
  }

  private async live(): Promise<void> {
    const { firstWithinMs, intervalMs } = this.parts.pace;
    const { signal } = this.stopping;
    // several relays that were started together do not run together
    let waitMs = this.parts.random() * firstWithinMs;
    for (;;) {
      this.nap = new AbortController();
      await sleep(waitMs, undefined, { signal: AbortSignal.any([signal, this.nap.signal]) }).catch(() => undefined);
      if (signal.aborted) {
        return;
      }
      await this.runOnce(signal);
      waitMs = intervalMs * (1 + this.parts.random() / 10);
    }
  }

  private async runOnce(signal: AbortSignal): Promise<void> {
    const { databaseUrl, retention } = this.parts;
    try {
      // first: an archive that is slow or broken is no reason to fill the producers' disk
      const slotAlarms = await this.slots.letGo(signal);
      this.alarms = [...this.alarms.filter(({ kind }) => kind !== 'slot_left'), ...slotAlarms];
      signal.throwIfAborted();
      const report = (await this.keeper?.run()) ?? null;
      const keepMs = retention?.policy.keepMs ?? null;
      const status = await readRetentionStatus({ databaseUrl, keepMs, signal });
      this.lastRun = { atMs: Date.now(), status, report };
      this.alarms = [...(report?.alarms ?? []), ...slotAlarms];
      this.tell(null);
    } catch (error) {
      if (!signal.aborted) {
        this.tell(problemOf(error), error);
      }
    }
  }

  private tell(problem: RetentionProblem | null, error?: unknown): void {
    const { source, listener } = this.parts;
    const isChanged = problem?.code !== this.problem?.code;
    this.problem = problem;
    listener.ran({ source, code: problem?.code ?? 'ok' });
    if (isChanged) {
      listener.problemChanged({ source, problem, error });
    }
  }
}

function keeperOf(parts: SourceRetentionParts, { policy, archiveDirectory }: RetentionConfig): RetentionKeeper {
  const { source, databaseUrl, pace, listener } = parts;
  const directory = archiveDirectory;
  const archived = listener.leafArchived.bind(listener);
  return createRetentionKeeper({
    source,
    databaseUrl,
    policy,
    observer: listener.observer,
    ...(directory !== null && {
      archive: archiveLeavesTo({ databaseUrl, directory, archived }),
      archiveProblem: () => archiveDirectoryProblem(directory),
    }),
    ...(pace.expiryGraceMs !== undefined && { expiryGraceMs: pace.expiryGraceMs }),
  });
}

function problemOf(error: unknown): RetentionProblem {
  return error instanceof CaptureError
    ? { code: error.code, message: error.message }
    : { code: 'internal', message: 'Retention failed unexpectedly; the log of the relay has the cause.' };
}
