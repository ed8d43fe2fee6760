import { type CapturedPage, type CapturePort } from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { type Address, type EventAddresses } from './event-addresses.js';
import { type RouteHolds } from './held/route-holds.js';
import { type LaneSender } from './lane-sender.js';
import { type PageWindow } from './page-window.js';
import { PollPace } from './poll-pace.js';
import { sourceSilent } from './problem.js';
import { type RelayClock, type RelayTimer } from './relay-clock.js';
import { type Route } from './route-config.js';
import { type RouteMeter } from './route-meter.js';
import { type RouteProblem } from './route-state.js';
import { sleep, withDeadline } from './waiting.js';

/** What the reader works with. */
export interface PageReaderParts {
  readonly route: Route;
  readonly capture: CapturePort;
  readonly clock: RelayClock;
  readonly addresses: EventAddresses;
  readonly holds: RouteHolds;
  readonly window: PageWindow;
  readonly sender: LaneSender;
  readonly meter: RouteMeter;
}

/** What the reader tells its owner. */
export interface PageReaderEvents {
  /** A page was read; its events, if any, are in their lanes. */
  pageTaken(): void;
  /** The events of `page` cannot be published; nothing of it has been sent. */
  pageRefused(page: CapturedPage, problem: RouteProblem): void;
  failed(error: unknown): void;
}

/**
 * Reads page after page while the window has room, and puts the events of each into their lanes. One read at a time:
 * the order of the pages is the order in the lanes.
 */
export class PageReader {
  private readonly pace: PollPace;
  private readonly abort = new AbortController();
  private timer: RelayTimer | null = null;
  private readingSinceMs: number | null = null;
  private isDispatching = false;
  private topicProblem: RouteProblem | null = null;
  private lastRead = 0;
  private lastDispatched = 0;
  private isNotified = false;

  constructor(
    private readonly parts: PageReaderParts,
    private readonly events: PageReaderEvents,
  ) {
    this.pace = new PollPace(parts.route.tuning.pollWaitMinMs, parts.route.tuning.pollWaitMaxMs);
  }

  /** Why a topic cannot be opened; `null` when none is missing. */
  get problem(): RouteProblem | null {
    return this.topicProblem;
  }

  /** A poll has succeeded. */
  get hasRead(): boolean {
    return this.lastRead > 0;
  }

  /** Number of the last page whose events are in their lanes. */
  get dispatchedThrough(): number {
    return this.lastDispatched;
  }

  /** Milliseconds for which the poll under way has been waiting; 0 when there is none. */
  get pollMs(): number {
    return this.readingSinceMs === null ? 0 : this.parts.clock.monotonicMs() - this.readingSinceMs;
  }

  /** Reads now if it may; without effect while it reads or waits for the next poll. */
  poke(): void {
    if (this.timer === null && !this.isDispatching && this.hasRoom && !this.abort.signal.aborted) {
      void this.read();
    }
  }

  private get hasRoom(): boolean {
    const { window, holds, sender, addresses } = this.parts;
    return window.hasRoom(sender.lanesBehind < addresses.laneCount) && !holds.isFull;
  }

  /** There may be new events: does not wait any longer, nor after the poll that is under way. */
  notify(): void {
    this.isNotified = this.isDispatching;
    this.timer?.cancel();
    this.timer = null;
    this.poke();
  }

  /** Reads no more; a page on its way is dropped, to be read again by the next claim. */
  close(): void {
    this.timer?.cancel();
    this.abort.abort();
  }

  private async read(): Promise<void> {
    this.isDispatching = true;
    try {
      const page = await this.poll();
      if (!this.abort.signal.aborted) {
        this.lastRead = page.number;
        await this.dispatch(page);
        this.events.pageTaken();
        this.scheduleNext(page);
      }
    } catch (error) {
      if (!this.abort.signal.aborted) {
        this.events.failed(error);
      }
    } finally {
      this.isDispatching = false;
      this.poke();
    }
  }

  private async poll(): Promise<CapturedPage> {
    const { capture, clock, route, meter } = this.parts;
    const startedMs = clock.monotonicMs();
    this.readingSinceMs = startedMs;
    try {
      const deadline = { clock, ms: route.tuning.callDeadlineMs, signal: this.abort.signal, error: sourceSilent };
      const page = await withDeadline(capture.nextPage(), deadline);
      const { rowCount: rows, bytes, isFull, hasWaited, events } = page;
      const durationMs = clock.monotonicMs() - startedMs;
      meter.pageRead({ rows, events: events.length, bytes, isFull, hasWaited, durationMs });
      return page;
    } finally {
      this.readingSinceMs = null;
    }
  }

  private scheduleNext(page: CapturedPage): void {
    const waitMs = this.isNotified ? 0 : this.pace.after(page);
    this.isNotified = false;
    if (waitMs > 0 && !this.abort.signal.aborted) {
      this.timer = this.parts.clock.after(waitMs, () => {
        this.timer = null;
        this.poke();
      });
    }
  }

  private async dispatch(page: CapturedPage): Promise<void> {
    if (!page.isChanged) {
      return;
    }
    const { window, holds, addresses, sender } = this.parts;
    const inFlight = window.add(page);
    if (!(await this.openTopics(page))) {
      return;
    }
    const found = page.events.map((event) => ({ event, address: addresses.of(event) }));
    for (const { event, address } of found) {
      if (address.kind === 'refused' && !holds.canHold) {
        const { problem } = address;
        this.events.pageRefused(page, { ...problem, message: `${nameOf(event)}: ${problem.message}` });
        return;
      }
    }
    const own = found.filter(({ address }) => address.kind !== 'other-shard');
    inFlight.dispatched(own.map(recordBytesOf), found.length - own.length);
    for (const { event, address } of own) {
      holds.place(event, address, inFlight);
    }
    page.forgetEvents();
    this.lastDispatched = page.number;
    sender.flush();
  }

  /** False: the page cannot be sent, or the reader was closed. */
  private async openTopics(page: CapturedPage): Promise<boolean> {
    for (const event of page.events) {
      const topic = this.parts.addresses.topicToOpen(event);
      if (topic !== null && !(await this.openTopic(topic, event, page))) {
        return false;
      }
    }
    return true;
  }

  /** Tries until there is an answer. False: given up, because the reader was closed or a person has to act. */
  private async openTopic(name: string, event: OutboxEvent, page: CapturedPage): Promise<boolean> {
    const { addresses, clock, route } = this.parts;
    const { signal } = this.abort;
    while (!signal.aborted) {
      const opening = await addresses.open(name);
      if (opening.kind === 'open' || opening.kind === 'refused') {
        this.topicProblem = null;
        return !signal.aborted;
      }
      if (opening.kind === 'stop') {
        const { problem } = opening;
        this.events.pageRefused(page, {
          ...problem,
          message: `${nameOf(event)}, for topic ${name}: ${problem.message}`,
        });
        return false;
      }
      this.topicProblem = opening.problem;
      await sleep(clock, route.tuning.topicRetryMs, signal);
    }
    return false;
  }
}

/** What is refused has no record; until its page is settled it is kept as it is. */
function recordBytesOf({ event, address }: { readonly event: OutboxEvent; readonly address: Address }): number {
  return address.kind === 'lane' ? address.encoded.bytes : event.payload.length;
}

function nameOf({ id, position }: OutboxEvent): string {
  return `Event ${id} at position ${String(position)}`;
}
