import { backoffMs } from './backoff.js';
import { type RelayClock, type RelayRandom, type RelayTimer } from './relay-clock.js';
import { type RouteProblem } from './route-state.js';
import { type SendErrorCode } from './send-policy.js';

/** After failures of so many lanes in a row, with no answer of the sink between, it counts as away. */
const LANES_MIN = 3;
/** Between two tries while it is away; a try that takes longer does not keep the next one from being made. */
const PROBE_MIN_MS = 100;
const PROBE_MAX_MS = 1_000;

const AWAY: ReadonlySet<SendErrorCode> = new Set(['unavailable', 'timeout', 'internal']);

export interface SinkBreakerParts {
  readonly sink: string;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  readonly changed: (isOpen: boolean) => void;
}

/**
 * One for each sink, over all routes and lanes. Closed, it lets every send through. When several lanes have failed without
 * any answer between, it opens: then one lane at a time tries, in turn, until one of them has an answer, a refusal
 * included, and all may send again. So an outage is tried once in a while instead of by each lane, and told once.
 */
export class SinkBreaker {
  private readonly failing = new Set<string>();
  private waiting: (() => void)[] = [];
  private isAway = false;
  private probes = 0;
  private timer: RelayTimer | null = null;
  private mayProbe = false;

  constructor(private readonly parts: SinkBreakerParts) {}

  get isOpen(): boolean {
    return this.isAway;
  }

  /** The one problem of all routes to the sink while it is away; `null` otherwise. */
  get problem(): RouteProblem | null {
    return this.isAway
      ? {
          side: 'sink',
          code: 'unavailable',
          message: `Sink ${this.parts.sink} has answered on none of its lanes; one at a time is tried until it does. Nothing is lost.`,
        }
      : null;
  }

  /** To be asked immediately before a send, which must then be made. `null`: now; otherwise ask again after it. */
  whenAllowed(): Promise<void> | null {
    if (!this.isAway) {
      return null;
    }
    if (this.mayProbe) {
      this.mayProbe = false;
      return null;
    }
    return new Promise((resolve) => {
      this.waiting.push(resolve);
    });
  }

  /** A send has ended; `null`: well. */
  answered(laneId: string, code: SendErrorCode | null): void {
    if (code === null || !AWAY.has(code)) {
      this.close();
      return;
    }
    this.failing.add(laneId);
    if (!this.isAway && this.failing.size >= LANES_MIN) {
      this.isAway = true;
      this.probes = 0;
      this.scheduleProbe();
      this.parts.changed(true);
    }
  }

  /** Nobody sends any more. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  private scheduleProbe(): void {
    this.probes += 1;
    const { clock, random } = this.parts;
    this.timer?.cancel();
    this.timer = clock.after(backoffMs(this.probes, { minMs: PROBE_MIN_MS, maxMs: PROBE_MAX_MS }, random), () => {
      this.mayProbe = true;
      this.waiting.shift()?.();
      // whoever was asked may have nothing to send any more
      this.scheduleProbe();
    });
  }

  private close(): void {
    this.failing.clear();
    if (!this.isAway) {
      return;
    }
    this.isAway = false;
    this.mayProbe = false;
    this.stop();
    this.parts.changed(false);
    for (const resume of this.waiting.splice(0)) {
      resume();
    }
  }
}
