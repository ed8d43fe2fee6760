/** Kafka's numbers for what an answer says, as far as a subscription acts on them or tells them. */
export const ANSWER = {
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REPLICA_NOT_AVAILABLE: 9,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  INVALID_TOPIC_EXCEPTION: 17,
  ILLEGAL_GENERATION: 22,
  INCONSISTENT_GROUP_PROTOCOL: 23,
  INVALID_GROUP_ID: 24,
  UNKNOWN_MEMBER_ID: 25,
  INVALID_SESSION_TIMEOUT: 26,
  REBALANCE_IN_PROGRESS: 27,
  TOPIC_AUTHORIZATION_FAILED: 29,
  GROUP_AUTHORIZATION_FAILED: 30,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  KAFKA_STORAGE_ERROR: 56,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  MEMBER_ID_REQUIRED: 79,
  GROUP_MAX_SIZE_REACHED: 81,
} as const;

const OF_THE_COORDINATOR: ReadonlySet<number> = new Set([
  ANSWER.COORDINATOR_LOAD_IN_PROGRESS,
  ANSWER.COORDINATOR_NOT_AVAILABLE,
  ANSWER.NOT_COORDINATOR,
]);

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(ANSWER).map(([name, code]) => [code, name]));

/** An answer that is an error: its number and its name in Kafka's protocol. */
export class KafkaAnswerError extends Error {
  override readonly name = 'KafkaAnswerError';
  /** What `classifyKafkaError` reads. */
  readonly type: string;

  constructor(
    readonly code: number,
    request: string,
  ) {
    const type = NAMES.get(code) ?? `Kafka error ${code}`;
    super(`${request} was answered with ${type}.`);
    this.type = type;
  }

  /** The coordinator of the group has moved, or is still starting: it is to be looked up again. */
  get isOfCoordinator(): boolean {
    return OF_THE_COORDINATOR.has(this.code);
  }
}

/** Throws `KafkaAnswerError` unless the code says that all is well. */
export function assertAnswered(errorCode: number, request: string): void {
  if (errorCode !== 0) {
    throw new KafkaAnswerError(errorCode, request);
  }
}

/** The number of an error that a broker answered with; undefined for any other failure. */
export function answerCodeOf(error: unknown): number | undefined {
  return error instanceof KafkaAnswerError ? error.code : undefined;
}
