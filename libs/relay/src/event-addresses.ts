import { type OutboxEvent } from '@millrace/events';
import { partitionOfKey, type SinkLane, type SinkPort, type SinkTopic } from '@millrace/transport';
import { type EncodedEvent, type RecordEncoder } from './event-record.js';
import { sinkProblemOf, sinkSilent } from './problem.js';
import { type RelayClock } from './relay-clock.js';
import { RelayError } from './relay.errors.js';
import { type Route } from './route-config.js';
import { isOwnPartition, shardsProblem } from './route-shard.js';
import { type RouteProblem } from './route-state.js';
import { sendErrorCodeOf, sendPolicyFor } from './send-policy.js';
import { withDeadline } from './waiting.js';

/** Where an event goes. `refused`: nowhere, by its own content; whose it is can then be told by its key alone. */
export type Address =
  | { readonly kind: 'lane'; readonly lane: SinkLane; readonly encoded: EncodedEvent }
  | { readonly kind: 'other-shard' }
  | { readonly kind: 'refused'; readonly problem: RouteProblem };

/** What came of one try to open a topic. `later`: try again; `refused`: the sink has no such topics; `stop`: a person has to act. */
export type TopicOpening =
  | { readonly kind: 'open' }
  | { readonly kind: 'later' | 'stop'; readonly problem: RouteProblem }
  | { readonly kind: 'refused' };

/** What events are addressed with. */
export interface EventAddressesParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  readonly encoder: RecordEncoder;
  /** Ends with the claim. */
  readonly signal: AbortSignal;
}

/** The topics of a claim, and which lane of them an event goes to. */
export class EventAddresses {
  private readonly topics = new Map<string, SinkTopic>();
  private readonly refused = new Map<string, RouteProblem>();
  private lanes = 0;

  constructor(private readonly parts: EventAddressesParts) {}

  /** The topics that were opened. */
  get opened(): readonly SinkTopic[] {
    return [...this.topics.values()];
  }

  /** How many lanes the opened topics have, those of other shards left out. */
  get laneCount(): number {
    return this.lanes;
  }

  /** The topic that has to be opened before the event is addressed; `null`: none. */
  topicToOpen(event: OutboxEvent): string | null {
    try {
      const topic = this.parts.encoder.topicOf(event);
      return this.topics.has(topic) || this.refused.has(topic) ? null : topic;
    } catch {
      // `of` tells what is wrong with it
      return null;
    }
  }

  /** One try. */
  async open(name: string): Promise<TopicOpening> {
    const { sink, clock, route, signal } = this.parts;
    try {
      const deadline = { clock, ms: route.tuning.callDeadlineMs, signal, error: sinkSilent };
      const topic = await withDeadline(sink.openTopic(name), deadline);
      const unfit = shardsProblem(topic, route.shard.count);
      if (unfit !== null) {
        return { kind: 'later', problem: { side: 'relay', code: 'shards_unfit', message: unfit } };
      }
      this.remember(name, topic);
      return { kind: 'open' };
    } catch (error) {
      const problem = sinkProblemOf(error);
      const { action } = sendPolicyFor(sendErrorCodeOf(error));
      if (action === 'bisect') {
        this.refused.set(name, { ...problem, message: `Topic ${name}: ${problem.message}` });
        return { kind: 'refused' };
      }
      return { kind: action === 'stop' ? 'stop' : 'later', problem };
    }
  }

  /** Held events and new ones may have had the same topic opened. */
  private remember(name: string, topic: SinkTopic): void {
    if (!this.topics.has(name)) {
      this.lanes += topic.lanes.filter(({ partition }) => isOwnPartition(this.parts.route.shard, partition)).length;
    }
    this.topics.set(name, topic);
  }

  /** The sink may have another opinion of topics that it refused. */
  forgetRefused(): void {
    this.refused.clear();
  }

  /** Its topic must be open. Throws `RelayError` `internal` otherwise. */
  of(event: OutboxEvent, isUnparked = false): Address {
    const { encoder, route } = this.parts;
    let topic: SinkTopic;
    let key: Buffer;
    try {
      const name = encoder.topicOf(event);
      const problem = this.refused.get(name);
      if (problem !== undefined) {
        return this.refusedWithoutTopic(event, problem);
      }
      topic = this.openedTopic(name);
      key = encoder.keyOf(event);
    } catch (error) {
      return this.refusedWithoutTopic(event, encodeProblemOf(error));
    }
    try {
      const isOwn = route.shard.count === 1 || isOwnPartition(route.shard, topic.laneOf(key).partition);
      return isOwn ? this.inTopic(topic, encoder.encode(event, isUnparked)) : { kind: 'other-shard' };
    } catch (error) {
      return { kind: 'refused', problem: encodeProblemOf(error) };
    }
  }

  private inTopic(topic: SinkTopic, encoded: EncodedEvent): Address {
    const { recordBytesMax } = this.parts.sink.features;
    if (encoded.bytes <= recordBytesMax) {
      return { kind: 'lane', lane: topic.laneOf(encoded.record.key), encoded };
    }
    const limit = `The record has ${encoded.bytes} bytes; the sink takes ${recordBytesMax}.`;
    const message = `${limit} ${sendPolicyFor('record_too_large').advice}`;
    return { kind: 'refused', problem: { side: 'relay', code: 'event_refused', message } };
  }

  private openedTopic(name: string): SinkTopic {
    const topic = this.topics.get(name);
    if (topic === undefined) {
      throw new RelayError('internal', 'Its topic was not opened before it was queued.');
    }
    return topic;
  }

  /** Without a topic, or a key, the aggregate's id tells the shard, as it does where topics are partitioned as Kafka's are. */
  private refusedWithoutTopic(event: OutboxEvent, problem: RouteProblem): Address {
    const { number, count } = this.parts.route.shard;
    const isOwn = count === 1 || partitionOfKey(Buffer.from(event.aggregateId), count) === number - 1;
    return isOwn ? { kind: 'refused', problem } : { kind: 'other-shard' };
  }
}

/** What is wrong with an event. Unexpected errors are named by class only: their message may carry data. */
function encodeProblemOf(error: unknown): RouteProblem {
  if (error instanceof RelayError) {
    if (error.code === 'internal') {
      throw error;
    }
    return { side: 'relay', code: error.code, message: error.message };
  }
  const kind = error instanceof Error ? error.name : typeof error;
  return {
    side: 'relay',
    code: 'event_refused',
    message:
      `No record can be made of it (unexpected ${kind}), a fault of the relay: report it. It can be tried again with a ` +
      'relay that makes one.',
  };
}
