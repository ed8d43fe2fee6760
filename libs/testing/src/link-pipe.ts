import { type Socket } from 'node:net';
import { type LinkDirection, type LinkFault, PASS } from './link-fault.js';

/** What a pipe is made of. */
export interface LinkPipeParts {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: LinkDirection;
  /** 0 up to 1, for the jitter. */
  readonly random: () => number;
  /** Resets both sides. */
  readonly reset: () => void;
}

/** Something on its way: bytes, or the end of the sender. */
type Cargo = { readonly dueMs: number } & (
  { readonly kind: 'bytes'; readonly bytes: Buffer } | { readonly kind: 'end' } | { readonly kind: 'reset' }
);

/** So much is taken from a sender before the first of it has arrived. */
const WINDOW_BYTES = 1024 * 1024;
/** A throttled direction moves in steps of this length. */
const STEP_MS = 20;

/**
 * One direction of a proxied connection: what its sender has sent (`take`), and its end, reach the receiver as the fault
 * says. A sender that is too far ahead is paused.
 */
export class LinkPipe {
  private readonly queue: Cargo[] = [];
  private fault: LinkFault = PASS;
  private queuedBytes = 0;
  private lastDueMs = 0;
  private cutAfterBytes = Number.POSITIVE_INFINITY;
  private timer: NodeJS.Timeout | null = null;
  private isWriting = false;
  private hasDropped = false;
  private isOver = false;

  constructor(private readonly parts: LinkPipeParts) {
    const { from } = parts;
    from.on('end', () => {
      this.push({ kind: 'end', dueMs: this.dueMs() });
    });
    from.on('error', () => {
      this.push({ kind: 'reset', dueMs: this.dueMs() });
    });
  }

  /** What is done from now on to what has not arrived yet. */
  set(fault: LinkFault): void {
    if (fault === this.fault) {
      return;
    }
    this.fault = fault;
    const isCutHere = fault.kind === 'cut' && fault.direction === this.parts.direction;
    this.cutAfterBytes = isCutHere ? fault.afterBytes : Number.POSITIVE_INFINITY;
    this.schedule();
  }

  /** Bytes of the sender. */
  take(bytes: Buffer): void {
    if (this.isDropping()) {
      this.hasDropped = true;
      return;
    }
    this.queuedBytes += bytes.length;
    if (this.queuedBytes >= WINDOW_BYTES) {
      this.parts.from.pause();
    }
    this.push({ kind: 'bytes', bytes, dueMs: this.dueMs() });
  }

  /** Nothing moves any more. */
  close(): void {
    this.isOver = true;
    this.queue.length = 0;
    if (this.timer !== null) {
      clearTimeout(this.timer);
    }
  }

  private isDropping(): boolean {
    const { fault, hasDropped, parts } = this;
    return hasDropped || (fault.kind === 'drop' && fault.direction === parts.direction);
  }

  /** Nothing overtakes what was sent before it. */
  private dueMs(): number {
    const { fault, parts } = this;
    const nowMs = performance.now();
    const delayMs = fault.kind === 'delay' ? Math.max(0, fault.ms + (2 * parts.random() - 1) * fault.jitterMs) : 0;
    this.lastDueMs = Math.max(this.lastDueMs, nowMs + delayMs);
    return this.lastDueMs;
  }

  private push(cargo: Cargo): void {
    if (!this.isOver) {
      this.queue.push(cargo);
      this.schedule();
    }
  }

  private schedule(): void {
    const [next] = this.queue;
    if (next === undefined || this.isOver || this.isWriting || this.fault.kind === 'blackhole') {
      return;
    }
    if (this.timer !== null) {
      clearTimeout(this.timer);
      this.timer = null;
    }
    const waitMs = next.dueMs - performance.now();
    if (waitMs <= 0) {
      this.deliver(next);
    } else {
      this.wait(waitMs);
    }
  }

  private wait(milliseconds: number): void {
    this.timer = setTimeout(() => {
      this.timer = null;
      this.schedule();
    }, milliseconds);
  }

  private deliver(cargo: Cargo): void {
    this.queue.shift();
    switch (cargo.kind) {
      case 'end':
        this.parts.to.end();
        break;
      case 'reset':
        this.parts.reset();
        break;
      case 'bytes':
        this.write(cargo);
        break;
    }
  }

  /** One write at a time: what the receiver does not take, the sender is to feel. */
  private write({ bytes, dueMs }: Extract<Cargo, { readonly kind: 'bytes' }>): void {
    const now = bytes.subarray(0, this.bytesAtOnce());
    const rest = bytes.subarray(now.length);
    if (rest.length > 0) {
      this.queue.unshift({ kind: 'bytes', bytes: rest, dueMs });
    }
    this.isWriting = true;
    this.cutAfterBytes -= now.length;
    this.parts.to.write(now, () => {
      this.written(now.length);
    });
  }

  private written(length: number): void {
    const { fault, parts } = this;
    this.isWriting = false;
    this.queuedBytes -= length;
    if (this.isOver) {
      return;
    }
    if (this.cutAfterBytes <= 0) {
      parts.reset();
      return;
    }
    if (this.queuedBytes < WINDOW_BYTES) {
      parts.from.resume();
    }
    if (fault.kind === 'throttle') {
      this.wait((length * 1_000) / fault.bytesPerSecond);
    } else {
      this.schedule();
    }
  }

  private bytesAtOnce(): number {
    const { fault } = this;
    const step = fault.kind === 'throttle' ? Math.ceil((fault.bytesPerSecond * STEP_MS) / 1_000) : Infinity;
    return Math.min(step, this.cutAfterBytes);
  }
}
