import { setTimeout as sleep } from 'node:timers/promises';
import {
  CaptureError,
  type CapturedPage,
  type CaptureMode,
  type CapturePort,
  createOutboxSource,
  type SourcePort,
} from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { type Random } from './random.js';

/** What the owners of a route saw, one after the other, until they were told to stop and had drained. */
export interface Reading {
  readonly ids: string[];
  /** Events that came with a version not above the one before of their key. */
  readonly reordered: string[];
  /** Former owners that could still write the ledger. */
  readonly unfenced: string[];
  owners: number;
  pages: number;
  gapRangesMax: number;
  /** Positions that were declared never to come. */
  died: number;
  low: bigint;
  high: bigint;
  gapRanges: number;
  /** Pages that came while the stream was read alone. */
  streamPages: number;
}

/** What a run of owners needs. */
export interface ReadingOptions {
  readonly databaseUrl: string;
  readonly pageRowsMax: number;
  readonly random: Random;
  /** Default `polling`. */
  readonly capture?: CaptureMode;
  /** Between one owner and the next, at least; default 300. */
  readonly ownerMs?: number;
  /** While it says no, the owner stays; default: never. */
  readonly mayHandOver?: () => boolean;
  /** Told after each page. */
  readonly onPage?: (reading: Reading) => void;
  /** Ends the lease of the present owner without its knowing. */
  expireLease(): Promise<void>;
}

interface Zombie {
  readonly owner: string;
  readonly capture: CapturePort;
  readonly page: CapturedPage;
}

/**
 * Reads and settles pages until `isDone` and a page has come back empty. Two times a second or so another owner takes
 * over while the former one has a page in hand, which it tries to settle once the new owner has settled one.
 */
export async function readAll(options: ReadingOptions, isDone: (reading: Reading) => boolean): Promise<Reading> {
  const reader = new Owners(options);
  for (let isIdle = false; !(isIdle && isDone(reader.reading));) {
    const page = await reader.readPage();
    isIdle = page.rowCount === 0;
    if (isIdle && !page.hasWaited) {
      await sleep(2);
    }
    await reader.mayHandOver();
  }
  await reader.close();
  return reader.reading;
}

class Owners {
  readonly reading: Reading = {
    ids: [],
    reordered: [],
    unfenced: [],
    owners: 0,
    pages: 0,
    gapRangesMax: 0,
    died: 0,
    low: 0n,
    high: 0n,
    gapRanges: 0,
    streamPages: 0,
  };
  private readonly source: SourcePort;
  private readonly versions = new Map<string, number>();
  private capture: CapturePort | null = null;
  private zombie: Zombie | null = null;
  private diedBefore = 0;
  private handOverAtMs = 0;

  constructor(private readonly options: ReadingOptions) {
    const { databaseUrl, pageRowsMax, capture = 'polling' } = options;
    this.source = createOutboxSource({ name: 'test', databaseUrl, pageRowsMax, capture });
  }

  async readPage(): Promise<CapturedPage> {
    this.capture ??= await this.claim();
    const page = await this.capture.nextPage();
    page.events.forEach((event) => {
      this.take(event);
    });
    if (page.isChanged) {
      await this.capture.settle(page);
    }
    const { low, high, gapRanges, gapsDied, reading: place } = this.capture.status();
    const { reading } = this;
    reading.streamPages += place === 'stream' && page.rowCount > 0 ? 1 : 0;
    Object.assign(reading, { low, high, gapRanges, died: this.diedBefore + gapsDied, pages: reading.pages + 1 });
    reading.gapRangesMax = Math.max(reading.gapRangesMax, gapRanges);
    if (page.isChanged) {
      await this.endZombie();
    }
    this.options.onPage?.(reading);
    return page;
  }

  async mayHandOver(): Promise<void> {
    const isDue = performance.now() >= this.handOverAtMs && (this.options.mayHandOver?.() ?? true);
    if (this.capture !== null && this.zombie === null && isDue) {
      const page = await this.capture.nextPage();
      this.zombie = { owner: `owner ${this.reading.owners}`, capture: this.capture, page };
      this.diedBefore = this.reading.died;
      await this.options.expireLease();
      this.capture = await this.claim();
    }
  }

  async close(): Promise<void> {
    await this.endZombie();
    await this.capture?.close();
  }

  private async claim(): Promise<CapturePort> {
    this.reading.owners += 1;
    this.handOverAtMs = performance.now() + (this.options.ownerMs ?? 300) + this.options.random.below(400);
    const claim = await this.source.claim({
      route: 'accounts',
      owner: `owner ${this.reading.owners}`,
      ttlMs: 600_000,
      from: { kind: 'earliest' },
      aggregateTypes: ['account'],
    });
    if (claim.kind !== 'claimed') {
      throw new Error(`The claim of the route is ${claim.kind}.`);
    }
    return claim.capture;
  }

  private async endZombie(): Promise<void> {
    if (this.zombie !== null) {
      const { owner, capture, page } = this.zombie;
      this.zombie = null;
      const error = await capture.settle(page).catch((caught: unknown) => caught);
      if (!(error instanceof CaptureError && error.code === 'fenced')) {
        this.reading.unfenced.push(owner);
      }
      await capture.close();
    }
  }

  private take(event: OutboxEvent): void {
    const version = Number(event.aggregateVersion);
    if (version <= (this.versions.get(event.aggregateId) ?? 0)) {
      this.reading.reordered.push(`${event.aggregateId} version ${version}`);
    }
    this.versions.set(event.aggregateId, version);
    this.reading.ids.push(event.id);
  }
}
