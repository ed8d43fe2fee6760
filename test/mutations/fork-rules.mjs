const REPAIR = 'libs/schema/src/migrations/0006-fork-repair.sql.ts';
const LEDGER_SQL = 'libs/capture/src/ledger.sql.ts';

const server = (name, only) => ({ path: `libs/capture/src/fork/${name}.int-spec.ts`, only });

/** Wrong rules of the repair after a fail-over or restore; see rules.mjs. */
export const FORK_RULES = [
  {
    name: 'fork-position-decides',
    wrong: 'a row counts as published when its position is in the topics, under whatever id',
    test: server('fork-repair', 'moves what stands at or below a used position'),
    edits: [
      edit(
        REPAIR,
        "r.id = o.event_id) then 'found'\n    when (in_types",
        "r.position = o.open_position) then 'found'\n    when (in_types",
      ),
    ],
  },
  {
    name: 'fork-records-not-counted',
    wrong: 'a repair judges by whatever is left of the records that it has kept',
    test: server('fork-blocks', 'begun anew'),
    edits: [edit(REPAIR, 'or in_kept <> (select count', 'or in_kept < (select count')],
  },
  {
    name: 'ledger-written-on-another-timeline',
    wrong: 'the ledger is written on over a promotion that the connection has outlived',
    test: server('fork-blocks', 'settles nothing'),
    edits: [
      edit(LEDGER_SQL, ' and timeline = ${TIMELINE}\n  returning ctid, route', '\n  returning ctid, route'),
      edit(LEDGER_SQL, ' and timeline = ${TIMELINE}\nreturning ctid::text', '\nreturning ctid::text'),
      edit(
        'libs/capture/src/pg-ledger-store.ts',
        "if (now['is_same_timeline'] !== 't') {",
        "if (now['is_same_timeline'] === '') {",
      ),
    ],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
