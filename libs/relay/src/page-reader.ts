import { type CapturedPage, type CapturePort } from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { type SinkPort, type SinkTopic } from '@millrace/transport';
import { type EncodedEvent, type RecordEncoder } from './event-record.js';
import { type LaneSender } from './lane-sender.js';
import { type PageInFlight, type PageWindow } from './page-window.js';
import { PollPace } from './poll-pace.js';
import { sinkProblemOf, sinkSilent, sourceSilent } from './problem.js';
import { type RelayClock, type RelayTimer } from './relay-clock.js';
import { RelayError, type RelayErrorCode } from './relay.errors.js';
import { type Route } from './route-config.js';
import { type RouteMeter } from './route-meter.js';
import { type RouteProblem } from './route-state.js';
import { sendErrorCodeOf, sendPolicyFor } from './send-policy.js';
import { sleep, withDeadline } from './waiting.js';

/** What the reader works with. */
export interface PageReaderParts {
  readonly route: Route;
  readonly capture: CapturePort;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly encoder: RecordEncoder;
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

interface Addressed {
  readonly event: OutboxEvent;
  readonly encoded: EncodedEvent;
}

/**
 * Reads page after page while the window has room, and puts the events of each into their lanes. One read at a time:
 * the order of the pages is the order in the lanes.
 */
export class PageReader {
  private readonly pace: PollPace;
  private readonly topics = new Map<string, SinkTopic>();
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
    if (this.timer === null && !this.isDispatching && !this.abort.signal.aborted && this.parts.window.hasRoom()) {
      void this.read();
    }
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
    const addressed = this.encode(page);
    if (addressed === null) {
      return;
    }
    const inFlight = this.parts.window.add(page);
    for (const each of addressed) {
      if (!this.topics.has(each.encoded.topic) && !(await this.openTopic(each, page))) {
        return;
      }
    }
    this.queue(addressed, inFlight);
    this.lastDispatched = page.number;
    this.parts.sender.flush();
  }

  private encode(page: CapturedPage): Addressed[] | null {
    const { encoder, sink } = this.parts;
    const addressed: Addressed[] = [];
    for (const event of page.events) {
      try {
        const encoded = encoder.encode(event);
        if (encoded.bytes > sink.features.recordBytesMax) {
          const limit = `The record has ${encoded.bytes} bytes; the sink takes ${sink.features.recordBytesMax}.`;
          throw new RelayError('event_refused', `${limit} ${sendPolicyFor('record_too_large').advice}`);
        }
        addressed.push({ event, encoded });
      } catch (error) {
        this.refuse(page, event, error);
        return null;
      }
    }
    return addressed;
  }

  private refuse(page: CapturedPage, event: OutboxEvent, error: unknown): void {
    const { code, message } = encodeProblemOf(error);
    this.events.pageRefused(page, { side: 'relay', code, message: `${nameOf(event)}: ${message}` });
  }

  private queue(addressed: readonly Addressed[], page: PageInFlight): void {
    for (const { event, encoded } of addressed) {
      const lane = this.topics.get(encoded.topic)?.laneOf(encoded.record.key);
      if (lane === undefined) {
        throw new RelayError('internal', `Topic ${encoded.topic} was not opened before its page was queued.`);
      }
      const { record, bytes } = encoded;
      this.parts.sender.push(lane, { record, bytes, page, position: event.position, id: event.id });
    }
  }

  /** Tries until it succeeds. False: given up, because the reader was closed or the sink refuses for good. */
  private async openTopic({ event, encoded }: Addressed, page: CapturedPage): Promise<boolean> {
    const { sink, clock, route } = this.parts;
    const name = encoded.topic;
    while (!this.abort.signal.aborted) {
      try {
        const deadline = { clock, ms: route.tuning.callDeadlineMs, signal: this.abort.signal, error: sinkSilent };
        this.topics.set(name, await withDeadline(sink.openTopic(name), deadline));
        this.topicProblem = null;
        return !this.abort.signal.aborted;
      } catch (error) {
        const problem = sinkProblemOf(error);
        const { action } = sendPolicyFor(sendErrorCodeOf(error));
        if (action === 'stop' || action === 'bisect') {
          const message = `${nameOf(event)}, for topic ${name}: ${problem.message}`;
          this.events.pageRefused(page, { ...problem, message });
          return false;
        }
        this.topicProblem = problem;
      }
      await sleep(clock, route.tuning.topicRetryMs, this.abort.signal);
    }
    return false;
  }
}

function nameOf({ id, position }: OutboxEvent): string {
  return `Event ${id} at position ${String(position)}`;
}

/** What is wrong with an event. Unexpected errors are named by class only: their message may carry data. */
function encodeProblemOf(error: unknown): { readonly code: RelayErrorCode; readonly message: string } {
  if (error instanceof RelayError) {
    return error;
  }
  const kind = error instanceof Error ? error.name : typeof error;
  return {
    code: 'event_refused',
    message: `No record can be made of it (unexpected ${kind}). Correct its row in the outbox, then resume the route.`,
  };
}
