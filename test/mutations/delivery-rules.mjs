const STEP = 'libs/schema/src/migrations/0011-delivery.sql.ts';
const BATCH = 'libs/transport/src/postgres/stamped-batch.ts';
const SINK = 'libs/transport/src/postgres/postgres-sink.ts';
const ENDS = 'libs/transport/src/lane-ends.ts';
const SUBSCRIPTION = 'libs/transport/src/postgres/postgres-subscription.ts';

const sink = (only) => ({ path: 'libs/transport/src/postgres/postgres-sink.int-spec.ts', only });

/** Wrong rules of the delivery into a database; see rules.mjs. */
export const DELIVERY_RULES = [
  {
    name: 'delivery-without-memory',
    wrong: 'what comes again is stored again',
    test: sink('stores what comes again once'),
    edits: [edit(BATCH, 'const ONCE = 1;', 'const ONCE = 0;')],
  },
  {
    name: 'delivery-of-any-epoch',
    wrong: 'a relay that has lost its route delivers on',
    test: sink('refuses a relay that has lost the route'),
    edits: [edit(STEP, 'elsif in_epoch < stream.epoch then', 'elsif false then')],
  },
  {
    name: 'delivery-floor-forgotten',
    wrong: 'positions are forgotten when the floor has passed them, and the floor is not looked at',
    test: sink('knows what is at or below the floor'),
    edits: [edit(STEP, 'r.kind = 1 and r.position > stream.floor', 'r.kind = 1')],
  },
  {
    name: 'delivery-shards-apart',
    wrong: 'each shard of a route has a memory of its own',
    test: sink('takes the shards of a route as one'),
    edits: [edit(BATCH, 'routeOfHeader(text(NAMES.route))', 'text(NAMES.route)')],
  },
  {
    name: 'delivery-partition-unlocked',
    wrong: 'two batches of a partition take their offsets side by side',
    test: sink('lets two routes write to one partition'),
    edits: [edit(STEP, 'and p.partition = in_partition for update;', 'and p.partition = in_partition;')],
  },
  {
    name: 'delivery-released-event-is-a-repeat',
    wrong: 'an event that its route had held back is judged by the floor',
    test: sink('and a released event once below the floor'),
    edits: [edit(STEP, 'where r.kind = 2 or (r.kind = 1 and', 'where (r.kind > 0 and')],
  },
  {
    name: 'delivery-removes-unread',
    wrong: 'records go when one of the consumers has read them',
    test: sink('removes what all consumers have read'),
    edits: [edit(STEP, 'min(coalesce(pl.next_offset, 0)) as up_to', 'max(pl.next_offset) as up_to')],
  },
  {
    name: 'delivery-receipt-beyond-the-log',
    wrong: 'the receipt of a batch that was there already names the end as its beginning',
    test: sink('stores what comes again once'),
    edits: [edit(SINK, 'baseOffset: after - BigInt(records.length)', 'baseOffset: before')],
  },
  {
    name: 'delivery-log-that-went-back-believed',
    wrong: 'a target that was set back is believed as soon as its log has grown past the place',
    test: sink('says at each send that its database was set back'),
    edits: [edit(ENDS, 'if (alarm !== undefined) {', 'if (alarm !== undefined && before < known) {')],
  },
  {
    name: 'delivery-looks-at-the-forgotten',
    wrong: 'what the floor has passed is looked for from the beginning, with every batch',
    test: sink('looks at nothing that it has forgotten before'),
    edits: [edit(STEP, 's.position > stream.forgotten and s.position <= passed.last', 's.position <= passed.last')],
  },
  {
    name: 'delivery-goes-on-from-memory',
    wrong: 'a consumer goes on where it was on a server that was set back',
    test: {
      path: 'libs/transport/src/postgres/postgres-subscription.int-spec.ts',
      only: 'trusts nothing that it remembers',
    },
    edits: [edit(SUBSCRIPTION, 'isOneSession: true,', '')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
