import { type CapturedPage, type CapturePort } from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { type SinkLane, type SinkPort, type SinkTopic } from '@millrace/transport';
import { type EncodedEvent, type RecordEncoder } from './event-record.js';
import { type LaneSender } from './lane-sender.js';
import { type PageWindow } from './page-window.js';
import { PollPace } from './poll-pace.js';
import { sinkProblemOf, sinkSilent, sourceSilent } from './problem.js';
import { type RelayClock, type RelayTimer } from './relay-clock.js';
import { RelayError, type RelayErrorCode } from './relay.errors.js';
import { type Route } from './route-config.js';
import { isOwnPartition, shardsProblem } from './route-shard.js';
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
  readonly lane: SinkLane;
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

  /** The topics that its events have been sent to, or are to be. */
  get openedTopics(): readonly SinkTopic[] {
    return [...this.topics.values()];
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
    const inFlight = this.parts.window.add(page);
    if (!(await this.openTopics(page))) {
      return;
    }
    const addressed = this.address(page);
    if (addressed === null) {
      return;
    }
    this.parts.window.leaveOut(inFlight, page.events.length - addressed.length);
    for (const { event, lane, encoded } of addressed) {
      const { record, bytes } = encoded;
      this.parts.sender.push(lane, { record, bytes, page: inFlight, position: event.position, id: event.id });
    }
    page.forgetEvents();
    this.lastDispatched = page.number;
    this.parts.sender.flush();
  }

  /** The events of this shard, ready to be sent; `null` when one of them cannot be. */
  private address(page: CapturedPage): Addressed[] | null {
    const addressed: Addressed[] = [];
    for (const event of page.events) {
      try {
        const own = this.addressOf(event);
        if (own !== null) {
          addressed.push(own);
        }
      } catch (error) {
        this.refuse(page, event, error);
        return null;
      }
    }
    return addressed;
  }

  /** `null`: the event belongs to another shard. */
  private addressOf(event: OutboxEvent): Addressed | null {
    const { encoder, sink, route } = this.parts;
    const topic = this.topics.get(encoder.topicOf(event));
    if (topic === undefined) {
      throw new RelayError('internal', 'Its topic was not opened before its page was queued.');
    }
    if (route.shard.count > 1) {
      const { partition } = topic.laneOf(encoder.keyOf(event));
      if (!isOwnPartition(route.shard, partition)) {
        return null;
      }
    }
    const encoded = encoder.encode(event);
    if (encoded.bytes > sink.features.recordBytesMax) {
      const limit = `The record has ${encoded.bytes} bytes; the sink takes ${sink.features.recordBytesMax}.`;
      throw new RelayError('event_refused', `${limit} ${sendPolicyFor('record_too_large').advice}`);
    }
    return { event, lane: topic.laneOf(encoded.record.key), encoded };
  }

  private refuse(page: CapturedPage, event: OutboxEvent, error: unknown): void {
    const { code, message } = encodeProblemOf(error);
    this.events.pageRefused(page, { side: 'relay', code, message: `${nameOf(event)}: ${message}` });
  }

  /** False: the page cannot be sent, or the reader was closed. */
  private async openTopics(page: CapturedPage): Promise<boolean> {
    for (const event of page.events) {
      let topic: string;
      try {
        topic = this.parts.encoder.topicOf(event);
      } catch (error) {
        this.refuse(page, event, error);
        return false;
      }
      if (!this.topics.has(topic) && !(await this.openTopic(topic, event, page))) {
        return false;
      }
    }
    return true;
  }

  /** Tries until it succeeds. False: given up, because the reader was closed or the sink refuses for good. */
  private async openTopic(name: string, event: OutboxEvent, page: CapturedPage): Promise<boolean> {
    const { sink, clock, route } = this.parts;
    while (!this.abort.signal.aborted) {
      try {
        const deadline = { clock, ms: route.tuning.callDeadlineMs, signal: this.abort.signal, error: sinkSilent };
        const topic = await withDeadline(sink.openTopic(name), deadline);
        const unfit = shardsProblem(topic, route.shard.count);
        if (unfit === null) {
          this.topics.set(name, topic);
          this.topicProblem = null;
          return !this.abort.signal.aborted;
        }
        this.topicProblem = { side: 'relay', code: 'shards_unfit', message: unfit };
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
    message:
      `No record can be made of it (unexpected ${kind}), a fault of the relay: report it. The route can be resumed with ` +
      'a relay that makes one.',
  };
}
