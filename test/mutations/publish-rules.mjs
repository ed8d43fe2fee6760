const SINK = 'libs/transport/src/kafka/kafka-sink.ts';
const RECEIPTS = 'libs/transport/src/kafka/base-offset.ts';
const ENDS = 'libs/transport/src/lane-ends.ts';
const TOPICS = 'libs/transport/src/kafka/kafka-topics.ts';
const SEQUENCES = 'libs/transport/src/kafka/lane-sequences.ts';

const sink = (only) => ({ path: 'libs/transport/src/kafka/kafka-sink.spec.ts', only });

/** Wrong rules of publishing to Kafka; see rules.mjs. */
export const PUBLISH_RULES = [
  {
    name: 'publish-believes-any-answer',
    wrong: 'an answer counts that does not name the partition with an offset',
    test: sink('believes an answer only when'),
    edits: [
      edit(RECEIPTS, 'if (!isOurs || ack.baseOffset < 0n) {', 'if (ack !== undefined && ack.baseOffset < -1n) {'),
    ],
  },
  {
    name: 'publish-believes-an-offset-that-went-back',
    wrong: 'a log that was cut is written to as if nothing had happened',
    test: sink('a log that went back alarms'),
    edits: [edit(ENDS, 'if (before < known &&', 'if (before < 0n &&')],
  },
  {
    name: 'publish-forgets-an-offset-that-went-back',
    wrong: 'a log that was cut is believed again as soon as what was sent again has passed the place',
    test: sink('a log that went back alarms'),
    edits: [edit(ENDS, 'if (alarm !== undefined) {', 'if (alarm !== undefined && before < known) {')],
  },
  {
    name: 'publish-two-in-flight',
    wrong: 'a lane may have a second send under way',
    test: sink('refuses a second send on a lane'),
    edits: [edit('libs/transport/src/sink-life.ts', 'if (this.#sends.has(lane.id)) {', 'if (this.#sends.size < 0) {')],
  },
  {
    name: 'publish-reuses-a-client-after-a-timeout',
    wrong: 'kafkajs goes on with the connection that did not answer',
    test: sink('throws the client away when it timed out'),
    edits: [edit(SINK, 'failure.isClientSuspect ? this.#link.discard(producer)', 'producer === null ? undefined')],
  },
  {
    name: 'publish-keeps-old-leaders',
    wrong: 'the leaders are not looked up again after an error',
    test: sink('refreshes the leaders before it rejects'),
    edits: [
      edit(
        SINK,
        'this.#link.discard(producer) : this.#topics.refresh(lane.topic, producer)',
        'this.#link.discard(producer) : undefined',
      ),
    ],
  },
  {
    name: 'publish-leaders-of-another-client',
    wrong: 'what a client that was thrown away looks up counts for the new one',
    test: sink('has each client look up the leaders itself'),
    edits: [edit(TOPICS, 'if (running?.producer === producer) {', 'if (running !== undefined) {')],
  },
  {
    name: 'publish-opens-without-a-deadline',
    wrong: 'a topic that a client never opens is waited for',
    test: sink('that a client never opens'),
    edits: [
      edit(
        SINK,
        'await this.#inTime(this.#topics.open(topic, producer));',
        'await this.#topics.open(topic, producer);',
      ),
    ],
  },
  {
    name: 'publish-sends-without-a-deadline',
    wrong: 'a send that a client never ends is waited for',
    test: sink('throws the client away on its own deadline'),
    edits: [edit(SINK, 'return this.#inTime(produce(), () => {', 'return Promise.race([produce()]).finally(() => {')],
  },
  {
    name: 'publish-retries-of-the-client',
    wrong: 'kafkajs sends a batch again by itself',
    test: {
      path: 'libs/transport/src/kafka/kafka-sink-faults.int-spec.ts',
      only: 'on kafkajs leaves a connection that stopped answering',
    },
    edits: [
      edit(
        'libs/transport/src/kafka/kafkajs-producer.ts',
        'retry: { retries: 0 },',
        'retry: { retries: 2, initialRetryTime: 10 },',
      ),
    ],
  },
  {
    name: 'publish-closes-without-a-drain',
    wrong: 'a sink that is stopped closes under its sends',
    test: sink('waits for sends in flight before it closes'),
    edits: [
      edit(
        'libs/transport/src/sink-life.ts',
        'await within(this.parts.drainMs, this.endOfSends(), () => undefined);',
        'void within;',
      ),
    ],
  },
  {
    name: 'publish-compresses-at-any-price',
    wrong: 'a batch that does not shrink goes compressed, above the limit that it was cut by',
    test: { path: 'libs/transport/src/kafka/record-batch.spec.ts', only: 'does not make it smaller' },
    edits: [
      edit(
        'libs/transport/src/kafka/record-batch.ts',
        'small.length < plain.length - HEADER_BYTES',
        'small.length > 0',
      ),
    ],
  },
  {
    name: 'publish-acks-of-the-leader',
    wrong: 'a send does not carry acks of all replicas, and the default of the client counts',
    test: { path: 'libs/transport/src/kafka/produce-request.spec.ts' },
    edits: [
      edit('libs/transport/src/kafka/produce-request.ts', '.appendInt16(batch.acks)', '.appendInt16(Number(!batch))'),
    ],
  },
  {
    name: 'publish-acks-dropped-by-the-sink',
    wrong: 'the sink leaves acks to what its client was made with',
    test: sink('sends one topic and one partition with acks'),
    edits: [edit(SINK, 'records, acks: ACKS_ALL, sentMs', 'records, ...(ACKS_ALL ? {} : {}), sentMs')],
  },
  {
    name: 'publish-strings',
    wrong: 'what is no Buffer reaches a client, which may store it as an empty record',
    test: sink('that is no Buffer'),
    edits: [edit('libs/transport/src/batch-limits.ts', 'if (!Buffer.isBuffer(field)) {', 'if (field === 0) {')],
  },
  {
    name: 'publish-number-of-another-batch',
    wrong: 'after an unknown outcome other records get the number of a batch that may be stored',
    test: sink('gives no number to other records'),
    edits: [edit(SEQUENCES, 'lane === undefined || !canTake(lane, records) ||', 'lane === undefined || !canTake ||')],
  },
  {
    name: 'publish-new-number-for-a-resend',
    wrong: 'a batch that is sent again is numbered anew, and stored twice',
    test: sink('sends the same records under the same number'),
    edits: [edit(SEQUENCES, 'pending === undefined ||', 'pending === undefined || !pending &&')],
  },
  {
    name: 'publish-id-after-the-deadline',
    wrong: 'records go out under a producer id that came after the send was given up',
    test: sink('under an id that comes after the deadline'),
    edits: [edit(SINK, 'late.throwIfAborted();', 'void late;')],
  },
  {
    name: 'publish-time-of-the-writing',
    wrong: 'a process that stood still sends what is late with a time that is not',
    test: sink('gives records the time at which their send began'),
    edits: [
      edit(
        SINK,
        'producer.produce({ ...batch, stamp })',
        'producer.produce({ ...batch, stamp, sentMs: this.parts.nowMs() })',
      ),
    ],
  },
  {
    name: 'publish-late-records-are-poison',
    wrong: 'what the brokers find late is set aside as if it could never be stored',
    test: { path: 'libs/transport/src/kafka/kafka-errors.spec.ts' },
    edits: [
      edit(
        'libs/transport/src/kafka/kafka-errors.ts',
        "    32,\n    {\n      code: 'unavailable',",
        "    32,\n    {\n      code: 'record_invalid',",
      ),
    ],
  },
  {
    name: 'publish-new-partitions-at-once',
    wrong: 'keys take their new partitions while sends to the earlier ones are under way',
    test: sink('gives new lanes once all sends'),
    edits: [edit(SINK, 'await this.#endOfEarlierLanes(opened);', 'void this.#endOfEarlierLanes;')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
