const STEP = 'libs/schema/src/migrations/0007-shards.sql.ts';
const SHARD = 'libs/relay/src/route-shard.ts';

const ledgers = (only) => ({ path: 'libs/capture/src/route-shards.int-spec.ts', only });

/** Wrong rules of shards and of the change of their number; see rules.mjs. */
export const SHARDS_RULES = [
  {
    name: 'shards-begin-at-once',
    wrong: 'the new shards begin when the first of the old ones has drained',
    test: ledgers('lets a shard that is behind read up to the fence'),
    edits: [
      edit(STEP, 'and not (l.is_drained and l.low >= l.fence)) then', 'and false) then'),
      edit(STEP, 'filter (where l.is_drained and l.low >= l.fence and', 'filter (where'),
    ],
  },
  {
    name: 'shards-bound-too-old',
    wrong: 'what a shard has not read is bound by the xid of the statement that sets the fence',
    test: ledgers('loses nothing of a transaction that began'),
    edits: [
      edit(
        STEP,
        'update millrace.ledger l set fence = set_shards.fence, epoch = l.epoch + 1,',
        `insert into millrace.ledger_gap (route, lo, hi, bound)
    select l.route, l.high + 1, set_shards.fence, pg_current_xact_id() from millrace.ledger l
    where in_route in (l.route, l.shard_of) and l.high < set_shards.fence;
    update millrace.ledger l set fence = set_shards.fence, high = set_shards.fence, epoch = l.epoch + 1,`,
      ),
    ],
  },
  {
    name: 'shards-epoch-goes-back',
    wrong: 'the ledgers of new shards begin with an epoch of their own',
    test: ledgers('never takes an epoch back'),
    edits: [edit(STEP, 'next.epoch := ledgers.epoch + 1;', 'next.epoch := 0;')],
  },
  {
    name: 'shards-send-what-is-not-theirs',
    wrong: 'a shard sends to the partitions of the others',
    test: { path: 'libs/relay/src/shards.spec.ts', only: 'sends the events of its own partitions only' },
    edits: [edit(SHARD, 'return partition % count === number - 1;', 'return partition % count >= 0 && number > 0;')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
