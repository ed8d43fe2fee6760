import { ADOPT_RULES } from './adopt-rules.mjs';
import { CAPTURE_RULES } from './capture-rules.mjs';
import { CONSUMER_RULES } from './consumer-rules.mjs';
import { DELIVERY_RULES } from './delivery-rules.mjs';
import { FORK_RULES } from './fork-rules.mjs';
import { HELD_RULES } from './held-rules.mjs';
import { INBOX_RULES } from './inbox-rules.mjs';
import { LANES_RULES } from './lanes-rules.mjs';
import { PUBLISH_RULES } from './publish-rules.mjs';
import { QUEUE_RULES } from './queue-rules.mjs';
import { ROUTES_RULES } from './routes-rules.mjs';
import { SHARDS_RULES } from './shards-rules.mjs';
import { TAKE_OVER_RULES } from './take-over-rules.mjs';

const TABLE_READER = 'libs/capture/src/table-reader.ts';
const PAGES = 'libs/capture/src/ledger-pages.ts';
const LEDGER = 'libs/capture/src/ledger.ts';
const LEDGER_SQL = 'libs/capture/src/ledger.sql.ts';
const STORE = 'libs/capture/src/pg-ledger-store.ts';
const POLL_SQL = 'libs/capture/src/poll.sql.ts';
const READER = 'libs/capture/src/pg-outbox-reader.ts';
const CLS = 'libs/outbox/src/cls.ts';

/** The run under 16 writers is a matter of chance: seeds until it turns red, at most ten. */
const UNDER_WRITERS = { path: 'test/ledger/ledger.int-spec.ts', seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] };
const CAPTURE = { path: 'libs/capture/src/polling-capture.int-spec.ts' };
const CAPTURE_ALONE = { path: 'libs/capture/src/polling-capture.spec.ts' };
const DURABLE = { path: 'libs/capture/src/durable-source.int-spec.ts', only: 'commit asynchronously' };
const AMBIENT = { path: 'libs/outbox/src/ambient.int-spec.ts', only: 'publishes versions in commit order' };
const TABLE = { path: 'libs/schema/src/outbox-table.int-spec.ts', only: 'after the transaction has its xid' };

/**
 * Wrong rules, each with the edits that put it in (a text to find, which must occur exactly once in its file, and what
 * to put in its place) and the test that must turn red.
 */
export const RULES = [
  {
    name: 'snapshot-xmax-as-the-bound',
    wrong: "a gap's bound is the xmax of the snapshot that found it",
    test: UNDER_WRITERS,
    edits: [
      edit(
        POLL_SQL,
        'null::text as payload, null::text as headers,',
        'null::text as payload, pg_snapshot_xmax(pg_current_snapshot())::text as headers,',
      ),
      edit(
        READER,
        'lastPosition: toPosition(cell(snapshot, 4)),',
        'lastPosition: toPosition(cell(snapshot, 4)), snapshotXmax: BigInt(cell(snapshot, 8)),',
      ),
      edit(
        TABLE_READER,
        'this.pages.take({ rows, isFull, endedBelow });',
        'this.pages.take({ rows, isFull, endedBelow, xmax: result.snapshotXmax });',
      ),
      edit(PAGES, 'hasMore = isFull }: PageReading', 'hasMore = isFull, xmax = null }: PageReading'),
      edit(
        PAGES,
        'const bound: GapBound = { xid: null, knownAtMs: Number.POSITIVE_INFINITY };\n    const positions',
        'const bound: GapBound = { xid: xmax, knownAtMs: Number.POSITIVE_INFINITY };\n    const positions',
      ),
      edit(
        PAGES,
        'if (bound.xid === null) {\n        Object.assign(bound, { xid, knownAtMs });',
        'if (xid > 0n) {\n        Object.assign(bound, { knownAtMs });',
      ),
    ],
  },
  {
    name: 'id-above-last',
    wrong: 'only positions above the last one are read, gaps are not kept',
    test: UNDER_WRITERS,
    edits: [edit(LEDGER, 'if (at > high + 1n) {', 'if (at < 0n) {')],
  },
  {
    name: 'settle-above-a-full-page',
    wrong: 'a full page settles gaps above its last position',
    test: { path: 'libs/capture/src/ledger.spec.ts', only: 'settles nothing above the last position of a full page' },
    edits: [edit(LEDGER, 'const ceiling = reading.isFull ? last : undefined;', 'const ceiling = undefined;')],
  },
  {
    name: 'filter-in-the-poll',
    wrong: "the poll reads only the route's rows",
    test: UNDER_WRITERS,
    edits: [
      edit(
        POLL_SQL,
        'candidates order by position limit $1) cut_by_rows',
        "candidates where aggregatetype = 'account' order by position limit $1) cut_by_rows",
      ),
    ],
  },
  {
    name: 'no-flush-gate',
    wrong: 'a page is handed out before its WAL is on the disk',
    test: DURABLE,
    edits: [edit(TABLE_READER, 'await this.waitForFlush(result);', '')],
  },
  {
    name: 'epoch-check-dropped',
    wrong: 'a ledger write does not ask for the epoch',
    test: UNDER_WRITERS,
    edits: [
      edit(
        LEDGER_SQL,
        'where ctid = $1::tid and route = $2 and epoch = $3 and timeline = ${TIMELINE}\n  returning ctid, route',
        'where ctid = $1::tid and route = $2 and $3::bigint is not null\n  returning ctid, route',
      ),
      edit(
        LEDGER_SQL,
        'where ctid = $1::tid and route = $2 and epoch = $3 and timeline = ${TIMELINE}\nreturning ctid::text',
        'where ctid = $1::tid and route = $2 and $3::bigint is not null\nreturning ctid::text',
      ),
      edit(STORE, "now === undefined || BigInt(column(now, 'epoch')) !== held.epoch", 'now === undefined'),
    ],
  },
  {
    name: 'xmin-rule-only',
    wrong: "only the snapshot's xmin lets a gap die",
    test: UNDER_WRITERS,
    edits: [
      edit(
        TABLE_READER,
        'this.writers.endedBelow > result.snapshotXmin ? this.writers.endedBelow : result.snapshotXmin',
        'result.snapshotXmin',
      ),
    ],
  },
  {
    name: 'event-before-lock',
    wrong: 'the ambient form inserts at publish, not at commit',
    test: AMBIENT,
    edits: [
      edit('libs/outbox/src/outbox.ts', 'this.#ambientQueue().add(rows);', 'await this.#ambientQueue().add(rows);'),
      edit(
        CLS,
        "import { EventQueue } from './event-queue.js';",
        "import { EventQueue } from './event-queue.js';\nimport { writeRows } from './outbox-writer.js';",
      ),
      edit(CLS, 'return scope.queue;', 'return { add: async (rows) => writeRows(scope.transaction, await rows) };'),
    ],
  },
  {
    name: 'gaps-not-probed',
    wrong: 'a poll for new rows leaves the gaps out',
    test: UNDER_WRITERS,
    edits: [edit(TABLE_READER, 'gaps: state.gaps,\n      rowsMax', 'gaps: [],\n      rowsMax')],
  },
  {
    name: 'gaps-not-written',
    wrong: 'the ledger write leaves the gaps out',
    test: UNDER_WRITERS,
    edits: [edit(STORE, 'if (delta.removed.length === 0 && delta.written.length === 0 && parts', 'if (parts')],
  },
  {
    name: 'gaps-in-text-order',
    wrong: 'a new owner reads the gaps in the order of their digits',
    test: UNDER_WRITERS,
    edits: [edit(LEDGER_SQL, 'where g.route = $1 order by g.lo`', 'where g.route = $1 order by lo`')],
  },
  {
    name: 'settle-what-was-read',
    wrong: 'a settlement writes the ledger of the last page read, not of the page settled',
    test: { ...CAPTURE, only: 'read ahead' },
    edits: [edit(PAGES, '      page.step.state,\n', '      this.current,\n')],
  },
  {
    name: 'bound-before-read',
    wrong: 'a page read ahead takes its bound from a ledger write that began before it',
    test: { ...CAPTURE_ALONE, only: 'earlier page' },
    edits: [edit(PAGES, 'for (const { bound } of pages) {', 'for (const { bound } of this.unsettled) {')],
  },
  {
    name: 'locks-after-poll',
    wrong: 'the look at the locks comes after the poll that uses it',
    test: { ...CAPTURE_ALONE, only: 'look at the locks' },
    edits: [
      edit(TABLE_READER, '    await this.writers.watch(boundsOf(state.gaps, alsoEnded), isCrowded);\n', ''),
      edit(
        TABLE_READER,
        '    const result = await this.poll(request);\n',
        '    const result = await this.poll(request);\n    await this.writers.watch(boundsOf(state.gaps, alsoEnded), isCrowded);\n',
      ),
    ],
  },
  {
    name: 'writer-without-xid-ignored',
    wrong: 'a lock holder that shows no xid counts as none',
    test: { ...CAPTURE, only: 'without showing an xid' },
    edits: [edit(READER, "return { oldestXid: 'unknown', oldest: describeWriter(row) };", 'continue;')],
  },
  {
    name: 'sequence-place-unchecked',
    wrong: 'a sequence that was set back goes unnoticed',
    test: { ...CAPTURE, only: 'set back below' },
    edits: [edit(TABLE_READER, '    checkSequencePlace(lastPosition, highest > high ? highest : high);\n', '')],
  },
  {
    name: 'number-before-xid',
    wrong: 'a position is drawn before its transaction has an xid',
    test: TABLE,
    edits: [
      edit(
        'libs/schema/src/migrations/0001-outbox.sql.ts',
        "default (case when pg_current_xact_id() is not null then nextval('millrace.position') end)",
        "default nextval('millrace.position')",
      ),
    ],
  },
  ...ADOPT_RULES,
  ...SHARDS_RULES,
  ...ROUTES_RULES,
  ...TAKE_OVER_RULES,
  ...HELD_RULES,
  ...CAPTURE_RULES,
  ...FORK_RULES,
  ...DELIVERY_RULES,
  ...INBOX_RULES,
  ...CONSUMER_RULES,
  ...LANES_RULES,
  ...PUBLISH_RULES,
  ...QUEUE_RULES,
];

function edit(file, find, replace) {
  return { file, find, replace };
}
