import { assignRoundRobin, type TopicPartition } from './assign-partitions.js';
import { byTopic, partitionId } from './by-topic.js';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.js';
import { ANSWER, answerCodeOf, assertAnswered, KafkaAnswerError } from './kafka-answer.js';
import { type KafkaCluster, type TopicLeaders } from './kafka-cluster.js';
import {
  HEARTBEAT,
  JOIN_GROUP,
  type JoinGroupAnswer,
  LEAVE_GROUP,
  OFFSET_COMMIT,
  OFFSET_FETCH,
  type PartitionResult,
  SYNC_GROUP,
} from './wire/group-apis.js';
import { type WireApi } from './wire/wire-buffers.js';

/** What the leader of a group deals partitions out by; Kafka's own name of it, so that its tools can tell. */
const PROTOCOL = 'roundrobin';

export interface GroupMemberOptions {
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  /** How long a group waits for this member to join again after it was told of a rebalance. */
  readonly rebalanceTimeoutMs: number;
  /** Beyond the rebalance timeout, for the answer of a join. */
  readonly requestTimeoutMs: number;
}

/** A generation of the group, as this member sees it. */
export interface GroupGeneration {
  readonly generation: number;
  readonly memberId: string;
  readonly partitions: readonly TopicPartition[];
  /** Deals the partitions out, so it must look out for new ones; of the topics of all members. */
  readonly leads: TopicLeaders | undefined;
}

/** An offset that the group is to go on from. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: bigint;
}

/**
 * This process as a member of a group, by Kafka's classic protocol. Every failure rejects: with `KafkaAnswerError` for
 * what the coordinator answered, after which nothing is tried again here. The coordinator is looked up anew after any
 * failure that may be of its place.
 */
export class GroupMember {
  #memberId = '';
  #generation = -1;
  #coordinator: string | undefined;

  constructor(
    private readonly cluster: KafkaCluster,
    private readonly options: GroupMemberOptions,
  ) {}

  get isMember(): boolean {
    return this.#memberId !== '';
  }

  /** Resolves with the next generation, which may take as long as other members take to join. */
  async join(topics: readonly string[]): Promise<GroupGeneration> {
    const joined = await this.#join(encodeSubscription(topics));
    this.#generation = joined.generation;
    const leads = joined.leaderId === joined.memberId ? await this.#leadersOfAll(joined) : undefined;
    const { errorCode, assignment } = await this.#ask(SYNC_GROUP, {
      ...this.#identity(),
      assignments: leads === undefined ? [] : assignmentsOf(joined, leads),
    });
    this.#assertMember(errorCode, 'SyncGroup');
    const partitions = decodeAssignment(assignment);
    return { generation: joined.generation, memberId: joined.memberId, partitions, leads };
  }

  async heartbeat(): Promise<void> {
    const { errorCode } = await this.#ask(HEARTBEAT, this.#identity());
    this.#assertMember(errorCode, 'Heartbeat');
  }

  /** By `partitionId`; without the partitions that the group has no offset of. */
  async committed(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, bigint>> {
    const { groupId } = this.options;
    const topics = byTopic(partitions, ({ partition }) => partition);
    const answer = await this.#ask(OFFSET_FETCH, { groupId, topics });
    this.#assertMember(answer.errorCode, 'OffsetFetch');
    const offsets = new Map<string, bigint>();
    for (const found of answer.partitions) {
      assertAnswered(found.errorCode, `OffsetFetch of ${partitionId(found)}`);
      if (found.offset >= 0n) {
        offsets.set(partitionId(found), found.offset);
      }
    }
    return offsets;
  }

  /**
   * Commits as a member of the given generation, and no later one: what comes late is refused. Resolves with the partitions
   * that were refused; rejects when the generation is over.
   */
  async commit(
    { memberId, generation }: Pick<GroupGeneration, 'memberId' | 'generation'>,
    offsets: readonly PartitionOffset[],
  ): Promise<readonly PartitionResult[]> {
    const results = await this.#ask(OFFSET_COMMIT, {
      groupId: this.options.groupId,
      memberId,
      generation,
      topics: byTopic(offsets, ({ partition, offset }) => ({ partition, offset })),
    });
    for (const { errorCode } of results) {
      if (OF_THE_GROUP.has(errorCode)) {
        this.#assertMember(errorCode, 'OffsetCommit', memberId);
      }
    }
    return results.filter(({ errorCode }) => errorCode !== 0);
  }

  /** The coordinator gives the partitions to others at once. */
  async leave(): Promise<void> {
    const { groupId } = this.options;
    const memberId = this.#memberId;
    if (memberId !== '') {
      this.#memberId = '';
      const { errorCode } = await this.#ask(LEAVE_GROUP, { groupId, memberId });
      assertAnswered(errorCode, 'LeaveGroup');
    }
  }

  async #join(subscription: Buffer): Promise<JoinGroupAnswer> {
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs, requestTimeoutMs } = this.options;
    const ask = () =>
      this.#ask(
        JOIN_GROUP,
        { groupId, memberId: this.#memberId, sessionTimeoutMs, rebalanceTimeoutMs, protocol: PROTOCOL, subscription },
        rebalanceTimeoutMs + requestTimeoutMs,
      );
    let answer = await ask();
    if (answer.errorCode === ANSWER.MEMBER_ID_REQUIRED) {
      this.#memberId = answer.memberId;
      answer = await ask();
    }
    this.#assertMember(answer.errorCode, 'JoinGroup');
    this.#memberId = answer.memberId;
    return answer;
  }

  async #leadersOfAll({ members }: JoinGroupAnswer): Promise<TopicLeaders> {
    const topics = new Set(members.flatMap(({ subscription }) => decodeSubscription(subscription)));
    return this.cluster.leadersOf([...topics]);
  }

  #identity(): { groupId: string; memberId: string; generation: number } {
    return { groupId: this.options.groupId, memberId: this.#memberId, generation: this.#generation };
  }

  async #ask<Question, Answer>(
    api: WireApi<Question, Answer>,
    question: Question,
    timeoutMs?: number,
  ): Promise<Answer> {
    this.#coordinator ??= await this.cluster.coordinatorOf(this.options.groupId);
    try {
      return await this.cluster.ask(this.#coordinator, api, question, timeoutMs);
    } catch (error) {
      this.#coordinator = undefined;
      throw error;
    }
  }

  #assertMember(errorCode: number, request: string, memberId = this.#memberId): void {
    if (errorCode === 0) {
      return;
    }
    const error = new KafkaAnswerError(errorCode, request);
    if (error.isOfCoordinator) {
      this.#coordinator = undefined;
    }
    if (errorCode === ANSWER.UNKNOWN_MEMBER_ID && memberId === this.#memberId) {
      this.#memberId = '';
    }
    throw error;
  }
}

/** In a list of results by partition, these speak of the member. */
const OF_THE_GROUP: ReadonlySet<number> = new Set([
  ANSWER.COORDINATOR_LOAD_IN_PROGRESS,
  ANSWER.COORDINATOR_NOT_AVAILABLE,
  ANSWER.NOT_COORDINATOR,
  ANSWER.ILLEGAL_GENERATION,
  ANSWER.UNKNOWN_MEMBER_ID,
  ANSWER.REBALANCE_IN_PROGRESS,
  ANSWER.GROUP_AUTHORIZATION_FAILED,
]);

const REJOIN: ReadonlySet<number | undefined> = new Set([
  ANSWER.ILLEGAL_GENERATION,
  ANSWER.UNKNOWN_MEMBER_ID,
  ANSWER.REBALANCE_IN_PROGRESS,
]);

/** The generation is over, and joining again is all that there is to do. */
export function isRejoinError(error: unknown): boolean {
  return REJOIN.has(answerCodeOf(error));
}

/** A rebalance has begun, and until this member joins it, what it commits is still taken. */
export function isRebalance(error: unknown): boolean {
  return answerCodeOf(error) === ANSWER.REBALANCE_IN_PROGRESS;
}

function assignmentsOf(
  { members }: JoinGroupAnswer,
  leads: TopicLeaders,
): { readonly memberId: string; readonly assignment: Buffer }[] {
  const counts = new Map([...leads].map(([topic, leaders]) => [topic, leaders.length]));
  const subscribers = members.map(({ memberId, subscription }) => ({
    memberId,
    topics: decodeSubscription(subscription),
  }));
  const dealt = assignRoundRobin(subscribers, counts);
  return [...dealt].map(([memberId, partitions]) => ({ memberId, assignment: encodeAssignment(partitions) }));
}
