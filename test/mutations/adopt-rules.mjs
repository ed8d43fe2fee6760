const ADOPT = 'libs/schema/src/adopt.ts';
const COPY = 'libs/schema/src/adopt-copy.ts';
const SQL = 'libs/schema/src/adopt.sql.ts';
const TRIGGER = 'libs/schema/src/adopted-trigger.sql.ts';
const LOCK = 'libs/schema/src/table-lock.ts';

const writers = (only) => ({ path: 'libs/schema/src/adopt-writers.int-spec.ts', only });
const OLDER_ROWS = writers('older rows come before');

/** Wrong rules of the adoption of tables; see rules.mjs. */
export const ADOPT_RULES = [
  {
    name: 'adopt-new-events-do-not-wait',
    wrong: 'new events go into the outbox while older rows are still being copied',
    test: OLDER_ROWS,
    edits: [edit(ADOPT, "orderByOf(request) === null ? 'outbox' : 'held'", "'outbox'")],
  },
  {
    name: 'adopt-copies-what-waits',
    wrong: 'the copy takes rows that the trigger has put aside',
    test: OLDER_ROWS,
    edits: [
      edit(
        SQL,
        'not exists (select from millrace.adoption_held h where h.source = ${table.oid}::oid and h.id = ${id} offset 0)',
        'true',
      ),
    ],
  },
  {
    name: 'adopt-switches-beside-writers',
    wrong: 'the trigger changes over to the outbox while transactions are open that put events aside',
    test: OLDER_ROWS,
    edits: [
      edit(
        COPY,
        'return await underTableLock(client, lock, async () => {',
        'await drain(client, task); void underTableLock; void lock; return await inTransaction(client, lockWaitMs, async () => {',
      ),
    ],
  },
  {
    name: 'adopt-waits-in-the-queue',
    wrong: 'the lock is waited for behind an open transaction, and producers behind it',
    test: writers('producers are not held up'),
    edits: [
      edit(LOCK, 'if (lasting.length === 0) {', 'if (before.length >= 0) {'),
      edit(
        LOCK,
        'return await inTransaction(client, lockWaitMs, async () => {',
        'return await inTransaction(client, lockWaitMs * 1_000, async () => {',
      ),
    ],
  },
  {
    name: 'adopt-trigger-only-in-ordinary-sessions',
    wrong: 'the trigger does not fire where session_replication_role is replica',
    test: { path: 'libs/schema/src/adopt.int-spec.ts', only: 'is copied in sessions' },
    edits: [edit(TRIGGER, 'enable always trigger', 'enable trigger')],
  },
  {
    name: 'adopt-trusts-an-early-look',
    wrong:
      'a table that seemed to have no rows is adopted although a transaction that was open has committed one since',
    test: { path: 'libs/schema/src/adopt.int-spec.ts', only: 'has rows by the time of the lock' },
    edits: [edit(ADOPT, 'await requireNoRows(client, table, options.lockWaitMs);', 'void requireNoRows;')],
  },
  {
    name: 'adopt-casts-any-type',
    wrong: 'a cast that the owner of the table has made runs with the rights of the owner of the schema',
    test: { path: 'libs/schema/src/adopt.int-spec.ts', only: 'runs no cast that its owner has made' },
    edits: [edit(TRIGGER, '>= ${DEFINED_TYPES}::oid then', '>= ${DEFINED_TYPES}::oid and false then')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
