const BATCH = 'libs/transport/src/sqs/sqs-batch.ts';
const IDS = 'libs/transport/src/sqs/message-ids.ts';
const SINK = 'libs/transport/src/sqs/sqs-sink.ts';
const SESSION = 'libs/transport/src/sqs/queue-session.ts';
const READER = 'libs/transport/src/sqs/message-reader.ts';
const UNSETTLED = 'libs/inbox/src/unsettled-records.ts';

const sending = (only) => ({ path: 'libs/transport/src/sqs/sqs-sink.int-spec.ts', only });
const receiving = (only) => ({ path: 'libs/transport/src/sqs/sqs-subscription.int-spec.ts', only });

/** Wrong rules of queues; see rules.mjs. */
export const QUEUE_RULES = [
  {
    name: 'sqs-several-of-a-group',
    wrong: 'a request may have several messages of a group',
    test: sending('keeps the order of each key'),
    edits: [edit(BATCH, 'const isFirst = groupId === null || !groups.has(groupId);', 'const isFirst = true;')],
  },
  {
    name: 'sqs-deduplicates-by-event-id',
    wrong: 'the deduplication id is that of the event alone',
    test: sending('publishes a replay'),
    edits: [
      edit(IDS, 'const parts = [id, route, ...AGAIN.map((name) => values.get(name) ?? null)];', 'const parts = [id];'),
    ],
  },
  {
    name: 'sqs-forgets-what-was-taken',
    wrong: 'a batch that failed in part is sent again as a whole',
    test: sending('standard queue'),
    edits: [edit(SINK, '        this.#stored.add(record);\n', '')],
  },
  {
    name: 'sqs-trusts-the-request',
    wrong: 'a batch that SQS answers with 200 is taken, whatever it says of its entries',
    test: sending('keeps the order of each key'),
    edits: [
      edit(SINK, '    if (failure !== undefined) {', '    if (failure !== undefined && batch.length === 0) {'),
      edit(SINK, 'if (entries.some(({ id }) => !done.has(id))) {', 'if (entries.length === 0) {'),
    ],
  },
  {
    name: 'sqs-deletes-what-it-delivers',
    wrong: 'a message is deleted when it is delivered, not when it is settled',
    test: receiving('deletes nothing that is not settled'),
    edits: [
      edit(
        SESSION,
        '      this.#inFlight.add(delivery, message);\n',
        '      this.#inFlight.add(delivery, message);\n      this.#deleter.add(delivery);\n',
      ),
    ],
  },
  {
    name: 'sqs-goes-on-behind-a-failed-message',
    wrong: 'a message that cannot be read does not hold the later ones of its group',
    test: { path: 'libs/transport/src/sqs/message-reader.spec.ts' },
    edits: [edit(READER, '        stopped.add(message.groupId);\n', '        stopped.delete(message.groupId);\n')],
  },
  {
    name: 'sqs-with-floors',
    wrong: 'an event of a queue is compared with the floor of its stream',
    test: { path: 'libs/inbox/src/unsettled-records.spec.ts' },
    edits: [edit(UNSETTLED, 'isBypassingFloor: true }, mark: null }', 'isBypassingFloor: false } }')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
