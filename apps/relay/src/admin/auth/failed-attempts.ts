/** How many wrong tokens an address may send in a window before further ones are answered with a wait. */
export interface FailedAttemptLimits {
  readonly failuresMax: number;
  readonly windowMs: number;
  /** Addresses remembered at once; the oldest is forgotten first, so a flood can't fill the memory. */
  readonly addressesMax: number;
}

/** Ten wrong tokens per minute and address; a 256-bit token would outlast that by far. */
export const DEFAULT_LIMITS: FailedAttemptLimits = { failuresMax: 10, windowMs: 60_000, addressesMax: 10_000 };

interface Window {
  failures: number;
  readonly endsAtMs: number;
}

/** Counts wrong tokens per address and says how long further ones are turned away. Bounded in memory. */
export class FailedAttempts {
  private readonly windows = new Map<string, Window>();

  constructor(
    private readonly limits: FailedAttemptLimits = DEFAULT_LIMITS,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Milliseconds until the address may send another wrong token; 0 when it may now. */
  lockedForMs(address: string): number {
    const window = this.current(networkOf(address));
    return window !== undefined && window.failures >= this.limits.failuresMax ? window.endsAtMs - this.nowMs() : 0;
  }

  /** Remembers a wrong token. */
  record(address: string): void {
    const network = networkOf(address);
    const window = this.current(network);
    if (window !== undefined) {
      window.failures += 1;
      return;
    }
    this.windows.delete(network);
    this.forgetOldest();
    this.windows.set(network, { failures: 1, endsAtMs: this.nowMs() + this.limits.windowMs });
  }

  get size(): number {
    return this.windows.size;
  }

  private current(network: string): Window | undefined {
    const window = this.windows.get(network);
    return window !== undefined && window.endsAtMs > this.nowMs() ? window : undefined;
  }

  private forgetOldest(): void {
    if (this.windows.size < this.limits.addressesMax) {
      return;
    }
    const oldest = this.windows.keys().next();
    if (oldest.done !== true) {
      this.windows.delete(oldest.value);
    }
  }
}

/** One user commonly has a whole IPv6 /64; an IPv4 address inside IPv6 counts as the IPv4 address. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) {
    return mapped;
  }
  if (!address.includes(':')) {
    return address;
  }
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  return [...front, ...zeros, ...back].slice(0, 4).join(':');
}
