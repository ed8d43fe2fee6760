const CLAIM_SQL = 'libs/inbox/src/claim.sql.ts';
const CLAIM = 'libs/inbox/src/claim.ts';
const PROGRESS_SQL = 'libs/inbox/src/inbox-progress.sql.ts';
const CHAIN_SQL = 'libs/inbox/src/held-chain.sql.ts';
const ADMIN_SQL = 'libs/inbox/src/inbox-admin.sql.ts';
const TRANSACTION = 'libs/inbox/src/inbox-transaction.ts';
const INBOX = 'libs/inbox/src/inbox.ts';

const claims = (only) => ({ path: 'libs/inbox/src/inbox-claims.int-spec.ts', only });
const floors = (only) => ({ path: 'libs/inbox/src/inbox-floors.int-spec.ts', only });
const chains = (only) => ({ path: 'libs/inbox/src/held-chains.int-spec.ts', only });

/** Wrong rules of the inbox; see rules.mjs. */
export const INBOX_RULES = [
  {
    name: 'inbox-claim-after-the-handler',
    wrong: 'the handler runs when no claim is seen, and the claim is written after it',
    test: claims('twin that waited until the other had committed'),
    edits: [
      edit(
        INBOX,
        'async (transaction) => await work(transaction, await claim(transaction, this.consumer, arrivals)),',
        `async (transaction) => {
          const text = 'select id from millrace.inbox where consumer = $1 and id = any ($2::uuid[])';
          const { rows } = await transaction.run({ text, values: [this.consumer, arrivals.map(({ id }) => id)] });
          const isSeen = ({ id }) => rows.some((row) => row.id === id);
          const result = await work(transaction, arrivals.map((one) => (isSeen(one) ? 'duplicate' : 'new')));
          await claim(transaction, this.consumer, arrivals);
          return result;
        },`,
      ),
    ],
  },
  {
    name: 'inbox-prune-by-low-alone',
    wrong: "a claim is removed by the floor of any partition, as the relay's low alone would have it",
    test: floors('outlive the floor of another, so a redelivery'),
    edits: [edit(PROGRESS_SQL, 'where c.floor_id = f.floor_id and c.position', 'where c.position')],
  },
  {
    name: 'inbox-floor-in-memory-only',
    wrong: 'a claim does not compare with the floor in the database',
    test: floors('comes back after the claim of its event was removed'),
    edits: [edit(CLAIM_SQL, '$6::text is null or $3 > f.floor', '$6::text is null or f.floor is not null')],
  },
  {
    name: 'inbox-prune-at-the-floor',
    wrong: 'claims are removed up to the newest floor',
    test: floors('while its own claim waits behind another'),
    edits: [
      edit(PROGRESS_SQL, 'c.position <= f.sealed_floor', 'c.position <= f.floor'),
      edit(PROGRESS_SQL, 'where f.consumer = $1 and f.sealed_floor > 0\n', 'where f.consumer = $1\n'),
    ],
  },
  {
    name: 'inbox-seal-without-waiting',
    wrong: 'a floor is sealed as soon as it is seen',
    test: floors('before their floor was visible for ten seconds'),
    edits: [edit(PROGRESS_SQL, "d.candidate_since <= clock_timestamp() - interval '10 seconds'", 'true')],
  },
  {
    name: 'inbox-seal-the-newest',
    wrong: 'the floor of now is sealed when the candidate is ripe',
    test: floors('not to a newer one'),
    edits: [edit(PROGRESS_SQL, 'set sealed_floor = f.candidate, candidate', 'set sealed_floor = f.floor, candidate')],
  },
  {
    name: 'inbox-stale-claim-counts',
    wrong: 'a claim that waited for long is believed',
    test: floors('gives up a claim that took so long'),
    edits: [edit(CLAIM, 'if (rows.some((row) => row.is_fresh === false)) {', 'if (rows.length === 0) {')],
  },
  {
    name: 'inbox-batch-unsorted',
    wrong: 'a batch claims its ids in the order in which they came',
    test: claims('in their own order'),
    edits: [edit(CLAIM_SQL, '  order by a.id\n', '')],
  },
  {
    name: 'inbox-unknown-stream-commits',
    wrong: 'a batch with a new stream keeps its claims and is repeated',
    test: claims('one of its streams is seen for the first time'),
    edits: [
      edit(
        CLAIM,
        '    throw new StreamUnknown();\n',
        "    await transaction.run({ text: 'commit' });\n    throw new StreamUnknown();\n",
      ),
    ],
  },
  {
    name: 'inbox-rollback-taken-for-commit',
    wrong: 'a COMMIT that answers ROLLBACK counts as one',
    test: claims('goes on after a statement that failed'),
    edits: [
      edit(TRANSACTION, "if (command !== 'COMMIT') {", "if (command === '') {"),
      edit(TRANSACTION, "if (status === 'E') {", 'if (status === null) {'),
      edit(TRANSACTION, "if (status !== 'T') {", 'if (status === null) {'),
    ],
  },
  {
    name: 'inbox-late-statement-commits',
    wrong: 'a statement of a handler that was given up is sent behind COMMIT or ROLLBACK',
    test: claims('goes on after it was given up'),
    edits: [edit(TRANSACTION, "    this.stage = 'over';\n", '')],
  },
  {
    name: 'inbox-progress-moves-back',
    wrong: 'the last one to save progress is right',
    test: floors('never moves back'),
    edits: [
      edit(
        PROGRESS_SQL,
        'next_offset = greatest(p.next_offset, excluded.next_offset)',
        'next_offset = excluded.next_offset',
      ),
    ],
  },
  {
    name: 'inbox-floor-goes-on-over-a-hole',
    wrong: 'a hole does not freeze the floors of its partition',
    test: floors('a hole'),
    edits: [edit(PROGRESS_SQL, 'case when s.is_frozen then 0 else n.floor end', 'n.floor')],
  },
  {
    name: 'inbox-thaw-is-forgotten',
    wrong: 'a hole that was thawed freezes the partition again when a member tells of it',
    test: { path: 'libs/inbox/src/inbox-admin.int-spec.ts', only: 'still tells of the hole' },
    edits: [edit(ADMIN_SQL, 'frozen_at = null, thawed_to = old.hole_to', 'frozen_at = null')],
  },
  {
    name: 'inbox-parked-without-claim',
    wrong: 'an event is set aside without its claim',
    test: chains('has its claim, so its duplicate'),
    edits: [
      edit(
        CHAIN_SQL,
        "update millrace.inbox set floor_id = null, position = null, kept_until = 'infinity' where consumer = $1 and id = $2",
        'delete from millrace.inbox where consumer = $1 and id = $2',
      ),
    ],
  },
  {
    name: 'inbox-held-key-not-locked-by-arrivals',
    wrong: 'an arrival looks at the key of a chain without locking it',
    test: chains('an arrival beside a release'),
    edits: [edit(CLAIM_SQL, 'and h.key = $8 for share', 'and h.key = $8')],
  },
  {
    name: 'inbox-held-key-not-locked-by-release',
    wrong: 'a release does not lock the key of its chain',
    test: chains('an arrival beside a release'),
    edits: [edit(CHAIN_SQL, 'next_try <= clock_timestamp() for update`', 'next_try <= clock_timestamp()`')],
  },
  {
    name: 'inbox-chain-by-text',
    wrong: 'a chain is released in the order of its offsets as text',
    test: chains('in the order of the topic'),
    edits: [edit(CHAIN_SQL, 'order by h.partition, h.record_offset', 'order by partition, record_offset')],
  },
  {
    name: 'inbox-batch-looks-once',
    wrong: "a batch sees the held keys of its claim's own snapshot only",
    test: chains('while its claim waited'),
    edits: [
      edit(
        CLAIM,
        "const isMixed = findings.includes('new') && findings.includes('duplicate');",
        'const isMixed = findings.length < 0;',
      ),
    ],
  },
  {
    name: 'inbox-held-key-ignored',
    wrong: 'an arrival of a held key runs its handler',
    test: chains('chains all later events of its key'),
    edits: [edit(CLAIM, "return row.is_key_held ? 'key held' : 'new';", "return 'new';")],
  },
  {
    name: 'inbox-offset-before-commit',
    wrong: 'an event counts as applied before its transaction has committed',
    test: claims('process dies between claim and commit'),
    edits: [
      edit(
        INBOX,
        '    return await this.withClaims(arrivals, async (transaction, findings) => {\n      const outcomes',
        "    void this.withClaims(arrivals, async (transaction) => {\n      await handle(arrivals[0]!, transaction);\n    }).catch(() => undefined);\n    return arrivals.map(() => 'applied');\n    return await this.withClaims(arrivals, async (transaction, findings) => {\n      const outcomes",
      ),
    ],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
