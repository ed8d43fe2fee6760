import { type SubscriptionListener } from '../subscription-port.js';
import { within } from '../deadline.js';
import { GroupAssignment, type GroupAssignmentOptions } from './group-assignment.js';
import { GroupHeartbeat } from './group-heartbeat.js';
import { type GroupGeneration, type GroupMember, isRebalance, isRejoinError } from './group-member.js';
import { KafkaAnswerError } from './kafka-answer.js';
import { type KafkaCluster } from './kafka-cluster.js';
import { classifyKafkaError } from './kafka-errors.js';
import { OffsetCommitter } from './offset-committer.js';
import { type PartitionFetcherOptions } from './partition-fetcher.js';
import { type SubscriptionEvent } from './subscription-events.js';
import { TopicWatch } from './topic-watch.js';
import { UnreadableBatchError } from './unreadable-batch-error.js';

/** Times in milliseconds. */
export interface GroupSessionLimits {
  readonly sessionTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly commitIntervalMs: number;
  readonly drainMs: number;
  readonly missingTopicPollMs: number;
  readonly topicPollMs: number;
  /** For the last commit and the farewell, each. */
  readonly farewellMs: number;
}

export interface GroupSessionParts {
  readonly cluster: KafkaCluster;
  readonly member: GroupMember;
  readonly topics: readonly string[];
  readonly listener: SubscriptionListener;
  readonly fetch: Pick<
    PartitionFetcherOptions,
    'decompress' | 'bytesMax' | 'partitionBytesMax' | 'maxWaitMs' | 'requestTimeoutMs'
  >;
  readonly limits: GroupSessionLimits;
  readonly onEvent: (event: SubscriptionEvent) => void;
  /** A member with so many partitions, or none again while the group deals them out anew. */
  readonly onStanding: (standing: { readonly partitions: number } | 'joining') => void;
}

/** Why a generation ended. */
type GenerationEnd =
  /** The group moves on; `isMember`: until this member joins it, what it commits is still taken. */
  | { readonly kind: 'rejoin'; readonly isMember: boolean }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'stopped' };

const REJOIN_PAUSE_MS = 100;
/** How long a coordinator that is not ready is asked again before the client is given up for it. */
const UNREADY_MS = 5_000;

/**
 * One client's life in a group: joins generation after generation until it is stopped or fails. At the end of each, the
 * receivers are closed and their last watermarks committed before the next is joined, while heartbeats go on.
 */
export class GroupSession {
  readonly #watch: TopicWatch;
  #assignment: GroupAssignment | undefined;
  #end: ((end: GenerationEnd) => void) | undefined;
  #unreadySince: number | undefined;
  #isStopping = false;

  constructor(private readonly parts: GroupSessionParts) {
    const { cluster, topics, limits, onEvent } = parts;
    this.#watch = new TopicWatch({
      cluster,
      topics,
      missingPollMs: limits.missingTopicPollMs,
      pollMs: limits.topicPollMs,
      onEvent,
      onGone: (gone) => {
        if (this.#assignment?.forget(gone) === true) {
          this.#end?.({ kind: 'rejoin', isMember: true });
        }
      },
      onLook: (leaders) => this.#assignment?.lead(leaders),
      onPartitionsChanged: () => this.#end?.({ kind: 'rejoin', isMember: true }),
      onFailure: (error) => this.#end?.({ kind: 'failed', error }),
    });
  }

  get missingTopics(): readonly string[] {
    return this.#watch.missing;
  }

  /** Resolves when the session is over and has left its group: with undefined after `stop`, else with what failed. */
  async run(): Promise<unknown> {
    const { cluster, member, limits } = this.parts;
    const failure = await this.#live().catch((error: unknown) => error);
    this.#watch.close();
    // a stop may have cut a join short, so that it does not hold the farewell up
    cluster.reconnect();
    await within(limits.farewellMs, member.leave().catch(ignore), ignore);
    cluster.disconnect();
    return this.#isStopping ? undefined : failure;
  }

  stop(): void {
    this.#isStopping = true;
    if (this.#end === undefined) {
      this.parts.cluster.disconnect();
    } else {
      this.#end({ kind: 'stopped' });
    }
  }

  async #live(): Promise<unknown> {
    const { member, topics, onStanding, onEvent } = this.parts;
    await this.#watch.open();
    while (!this.#isStopping) {
      onStanding('joining');
      const generation = await this.#unlessMoved(() => member.join(topics));
      if (generation === undefined) {
        continue;
      }
      onEvent({ kind: 'joined', memberId: generation.memberId, generation: generation.generation });
      const end = await this.#liveGeneration(generation);
      if (end.kind === 'failed') {
        return end.error;
      }
    }
    return undefined;
  }

  /** Undefined, after a moment, when the group had moved on meanwhile, or its coordinator was not ready. */
  async #unlessMoved<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      const result = await work();
      this.#unreadySince = undefined;
      return result;
    } catch (error) {
      if (!isRejoinError(error) && !this.#isUnready(error)) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, REJOIN_PAUSE_MS));
      return undefined;
    }
  }

  /** As in the first seconds of a new cluster. */
  #isUnready(error: unknown): boolean {
    const now = performance.now();
    this.#unreadySince ??= now;
    return error instanceof KafkaAnswerError && error.isOfCoordinator && now - this.#unreadySince < UNREADY_MS;
  }

  async #liveGeneration(generation: GroupGeneration): Promise<GenerationEnd> {
    const { member, limits, onEvent, onStanding } = this.parts;
    const committed = await this.#unlessMoved(() => member.committed(generation.partitions));
    if (committed === undefined) {
      return { kind: 'rejoin', isMember: false };
    }
    let end: (end: GenerationEnd) => void = ignore;
    const ended = new Promise<GenerationEnd>((resolve) => {
      end = resolve;
    });
    // what is left over of an earlier generation can only end that one again
    this.#end = end;
    if (this.#isStopping) {
      end({ kind: 'stopped' });
    }
    const heartbeat = new GroupHeartbeat({
      member,
      intervalMs: limits.heartbeatMs,
      sessionTimeoutMs: limits.sessionTimeoutMs,
      onRejoin: (error) => {
        end({ kind: 'rejoin', isMember: isRebalance(error) });
      },
      onFailure: (error) => {
        end({ kind: 'failed', error });
      },
    });
    const committer = this.#committer(generation, end);
    const assignment = this.#assign(generation, { committed, committer, end });
    this.#assignment = assignment;
    onStanding({ partitions: generation.partitions.length });
    onEvent({ kind: 'assigned', partitions: generation.partitions });
    this.#watch.compareWith(generation.leads);
    assignment.lead(generation.leads ?? this.#watch.leaders);

    const why = await ended;
    await assignment.close(limits.drainMs);
    const isMember = why.kind !== 'rejoin' || why.isMember;
    await within(limits.farewellMs, committer.close(isMember), ignore);
    heartbeat.close();
    this.#assignment = undefined;
    this.#end = undefined;
    return why;
  }

  #committer(generation: GroupGeneration, end: (end: GenerationEnd) => void): OffsetCommitter {
    const { member, limits, onEvent } = this.parts;
    return new OffsetCommitter({
      commit: (offsets) => member.commit(generation, offsets),
      intervalMs: limits.commitIntervalMs,
      onFailure: (error, partitions) => {
        onEvent({ kind: 'commit_failed', reason: classifyKafkaError(error).reason, partitions });
        if (isRejoinError(error)) {
          end({ kind: 'rejoin', isMember: isRebalance(error) });
        }
      },
    });
  }

  #assign(
    { partitions }: GroupGeneration,
    { end, ...parts }: Pick<GroupAssignmentOptions, 'committed' | 'committer'> & { end: (end: GenerationEnd) => void },
  ): GroupAssignment {
    const { cluster, listener, fetch, onEvent } = this.parts;
    const onFailure = (error: unknown) => {
      end({ kind: 'failed', error });
    };
    return new GroupAssignment({
      ...parts,
      partitions,
      listener,
      onEvent,
      onFailure,
      fetch: {
        ...fetch,
        cluster,
        refreshLeaders: () => this.#watch.refresh(),
        onInterrupted: (feeds, error) => {
          onEvent({
            kind: 'fetch_interrupted',
            reason: error instanceof UnreadableBatchError ? error.message : classifyKafkaError(error).reason,
            partitions: feeds.map(({ topic, partition }) => ({ topic, partition })),
          });
        },
        onFailure,
      },
    });
  }
}

function ignore(): undefined {
  return undefined;
}
