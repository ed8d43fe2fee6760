const ADDRESSES = 'libs/relay/src/event-addresses.ts';
const DECODE = 'libs/inbox/src/decode-delivery.ts';
const FILTER = 'libs/capture/src/event-filter.ts';
const POLL_SQL = 'libs/capture/src/poll.sql.ts';
const REPLACEMENT = 'libs/relay/src/topic-replacement.ts';
const SHAPE = 'libs/relay/src/record-shape.ts';

/** Wrong rules of what a route publishes, and how; see rules.mjs. */
export const ROUTES_RULES = [
  {
    name: 'route-header-is-compared-as-json',
    wrong: 'the poll compares a header as JSON writes it, and not as the bare text',
    test: {
      path: 'libs/capture/src/replication/outbox-row.int-spec.ts',
      only: 'when its header n does not have one of the wanted values',
    },
    edits: [edit(POLL_SQL, "coalesce(headers ->> ${name}, 'null')", "coalesce((headers -> ${name})::text, 'null')")],
  },
  {
    name: 'route-header-may-be-missing',
    wrong: 'from the stream an event without the header is wanted',
    test: {
      path: 'libs/capture/src/replication/outbox-row.int-spec.ts',
      only: 'when it is to have several headers at once',
    },
    edits: [edit(FILTER, 'value !== undefined && values.has(value)', 'value === undefined || values.has(value)')],
  },
  {
    name: 'route-regex-finds-a-part',
    wrong: 'the regular expression of a topic need not match the whole value',
    test: { path: 'libs/relay/src/topic-replacement.spec.ts', only: 'does not match all of it' },
    edits: [edit(REPLACEMENT, 'regex.isMatch(value) ? regex.matchStart(value) : null', 'regex.matchStart(value)')],
  },
  {
    name: 'route-shard-goes-by-the-aggregate',
    wrong: "the shard of an event is that of its aggregate's id, and its partition that of its key",
    test: { path: 'libs/relay/src/shards.spec.ts', only: 'goes by the key of the records' },
    edits: [edit(ADDRESSES, 'topic.laneOf(key).partition', 'topic.laneOf(Buffer.from(event.aggregateId)).partition')],
  },
  {
    name: 'route-no-key-is-every-shards',
    wrong: 'every shard refuses an event that gives no key',
    test: { path: 'libs/relay/src/shards.spec.ts', only: 'in one shard alone' },
    edits: [
      edit(ADDRESSES, 'const isOwn = count === 1 || partitionOfKey', 'const isOwn = count >= 1 || partitionOfKey'),
    ],
  },
  {
    name: 'route-renames-into-our-names',
    wrong: "a producer's header with a name of Millrace's own goes on the record when it is renamed",
    test: { path: 'libs/relay/src/record-shape.spec.ts', only: 'cannot make a header of a producer one of Millrace' },
    edits: [edit(SHAPE, '!isReservedHeader(given)', '!isReservedHeader(name)')],
  },
  {
    name: 'route-envelope-is-not-opened',
    wrong: 'the consumer takes the envelope of a CloudEvent for the payload',
    test: { path: 'libs/inbox/src/decode-delivery.spec.ts', only: 'takes the payload out of its CloudEvents envelope' },
    edits: [edit(DECODE, 'return value.data;', 'return value;')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
