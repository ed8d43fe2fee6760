const STREAM = 'libs/capture/src/stream-reader.ts';
const HAND_OVER = 'libs/capture/src/hand-over.ts';
const PROBES = 'libs/capture/src/gap-probes.ts';
const WAL = 'libs/capture/src/wal-capture.ts';
const FENCE = 'libs/capture/src/slot/handover-fence.ts';

const spec = (name, only) => ({ path: `libs/capture/src/${name}.spec.ts`, only });
const server = (name, only) => ({ path: `libs/capture/src/${name}.int-spec.ts`, only });
/** Table and stream under 16 writers, with cuts of the stream and changes of mode. */
const STREAMING = { path: 'test/ledger/streaming.int-spec.ts', seeds: [11, 12, 13] };

/** Wrong rules of capture from the WAL, of the hand-over and of retention; see rules.mjs. */
export const CAPTURE_RULES = [
  {
    name: 'wal-acknowledged-before-the-ledger',
    wrong: 'what was taken from the stream is confirmed before the ledger has it',
    test: spec('stream-reader', 'are confirmed when they'),
    edits: [edit(STREAM, 'if (page > this.pages.lastSettled) {', 'if (page > this.pages.pages) {')],
  },
  {
    name: 'wal-confirmed-without-the-fence',
    wrong: 'after the table is read empty the slot confirms the end of the WAL',
    test: server('slot/handover-fence', 'fence stays up until it can be seen'),
    edits: [edit(FENCE, 'return endedBelow >= marks.bound && (', 'return (')],
  },
  {
    name: 'fence-falls-before-its-page-is-settled',
    wrong: 'the fence falls when a page has passed it, whether or not the ledger has the page',
    test: spec('hand-over', 'waits until a poll after the fence'),
    edits: [edit(FENCE, "state.kind !== 'passed' || state.pages.settled < state.settles", "state.kind !== 'passed'")],
  },
  {
    name: 'probe-kills-behind-the-stream',
    wrong: 'a probe kills gaps while what was committed before it is still in the stream',
    test: spec('gap-probes', 'kills only once the stream'),
    edits: [edit(PROBES, 'if (stream.takenLsn < found.insertLsn) {', 'if (found === null) {')],
  },
  {
    name: 'probe-takes-what-it-sees',
    wrong: 'a probe beside the stream takes the rows that it sees in gaps, which the stream is to bring',
    test: STREAMING,
    edits: [
      edit(
        'libs/capture/src/table-reader.ts',
        '    const { rows, isFull, insertLsn } = result;\n',
        '    const { rows, isFull, insertLsn } = result;\n    this.pages.take({ rows, isFull, endedBelow: 0n });\n',
      ),
    ],
  },
  {
    name: 'slot-ahead-of-us-ignored',
    wrong: 'a stream is read that begins above what the fence gave',
    test: spec('hand-over', 'stands ahead of what was settled'),
    edits: [edit(HAND_OVER, 'if (stream.startLsn > startLsn) {', 'if (stream.startLsn < 0n) {')],
  },
  {
    name: 'slot-moved-ignored',
    wrong: 'confirmed_flush_lsn ahead of what we have confirmed counts as ready',
    test: spec('slot/slot-health', 'is ahead of us only'),
    edits: [
      edit(
        'libs/capture/src/slot/slot-health.ts',
        'return confirmedLsn !== null && confirmedFlushLsn > confirmedLsn',
        'return confirmedLsn !== null && confirmedFlushLsn < 0n',
      ),
    ],
  },
  {
    name: 'no-catch-up-by-the-table',
    wrong: 'what the table shows at a start is left to the stream',
    test: server('wal-capture', 'loses nothing when the slot is dropped'),
    edits: [
      edit(
        WAL,
        '    return read.page;\n',
        "    return appliedMode === 'polling' ? read.page : this.pages.nothing();\n",
      ),
    ],
  },
  {
    name: 'leaf-dropped-not-truncated',
    wrong: 'retention drops an old leaf instead of emptying it',
    test: server('retention/retention-locks', 'never wait for retention'),
    edits: [
      edit(
        'libs/schema/src/migrations/0004-retention-leaves.sql.ts',
        "execute format('truncate only %s', leaf);",
        "execute format('drop table %s', leaf);",
      ),
    ],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
