const ADMIN_SQL = 'libs/capture/src/held/held-admin.sql.ts';
const HELD_KEYS = 'libs/relay/src/held/held-keys.ts';
const HELD_SQL = 'libs/capture/src/held/held.sql.ts';
const HOLDS = 'libs/relay/src/held/route-holds.ts';
const STORE = 'libs/capture/src/pg-ledger-store.ts';

const holds = (only) => ({ path: 'libs/relay/src/held/route-holds.spec.ts', only });
const events = (only) => ({ path: 'libs/capture/src/held/held-events.int-spec.ts', only });
const admin = (only) => ({ path: 'libs/capture/src/held/held-admin.int-spec.ts', only });

/** Wrong rules of events that are held; see rules.mjs. */
export const HELD_RULES = [
  {
    name: 'held-event-without-its-key',
    wrong: 'only the refused event is held, later ones of its key are sent',
    test: holds('leaves what has arrived in memory meanwhile to follow its chain directly'),
    edits: [edit(HOLDS, "address.kind === 'lane' && !this.keys.has(event)", "address.kind === 'lane'")],
  },
  {
    name: 'held-queue-is-not-swept',
    wrong: 'what is queued of the key already is sent',
    test: holds('is held with all later ones of its key'),
    edits: [edit(HOLDS, 'item.position > position,', 'item.position < position,')],
  },
  {
    name: 'held-chain-tried-as-a-whole',
    wrong: 'a chain is sent whole before its first event has passed',
    test: holds('is tried again by itself with growing waits, alone'),
    edits: [
      edit(HOLDS, 'const TRIAL = { eventsMax: 1, bytesMax: 1 };', 'const TRIAL = { eventsMax: 500, bytesMax: 500 };'),
    ],
  },
  {
    name: 'held-key-free-too-early',
    wrong: 'a key is free while an event of its chain is still to come',
    test: holds('is tried again by itself with growing waits, alone'),
    edits: [edit(HOLDS, 'if (chain.length === 0) {', 'if (chain.length < 2) {')],
  },
  {
    name: 'held-arrivals-stay-behind',
    wrong: 'what has joined a chain in memory stays there when the key is free',
    test: holds('leaves what has arrived in memory meanwhile to follow its chain directly'),
    edits: [
      edit(
        HELD_KEYS,
        'for (const { letGo } of back.sort(byPosition)) {',
        'for (const { letGo } of back.slice(0, 0)) {',
      ),
    ],
  },
  {
    name: 'held-keys-not-loaded',
    wrong: 'a new owner does not know which keys are held',
    test: holds('stays held for whoever takes the route over'),
    edits: [edit(HOLDS, 'this.keys.load(held?.stored ?? []);', 'this.keys.load([]);')],
  },
  {
    name: 'held-without-limit',
    wrong: 'reading goes on however much is held',
    test: holds('makes the route wait, by name'),
    edits: [
      edit(HELD_KEYS, 'return this.heldEvents >= eventsMax ||', 'return this.heldEvents >= 1_000 * eventsMax ||'),
    ],
  },
  {
    name: 'held-by-an-unknown-outcome',
    wrong: 'an event whose outcome is unknown is held',
    test: holds('is not one whose outcome is unknown'),
    edits: [
      edit('libs/relay/src/send-policy.ts', "timeout: {\n    action: 'resend',", "timeout: {\n    action: 'bisect',"),
    ],
  },
  {
    name: 'held-skip-holds-the-key',
    wrong: 'under skip the key of the event is held as well',
    test: holds('is left out alone, and recorded'),
    edits: [
      edit(
        HELD_KEYS,
        "    if (this.parts.policy === 'skip') {\n      this.add",
        "    if (this.parts.attempts === 'skip') {\n      this.add",
      ),
    ],
  },
  {
    name: 'held-release-does-not-say-so',
    wrong: 'a released event looks like one that consumers have forgotten',
    test: holds('is tried again by itself with growing waits, alone'),
    edits: [edit(HOLDS, 'this.parts.addresses.of(event, true)', 'this.parts.addresses.of(event)')],
  },
  {
    name: 'held-key-written-later',
    wrong: 'a chain may stand in the database without its key',
    test: holds('has its key beside it in the database'),
    edits: [
      edit(HELD_KEYS, 'if (key.refusedUnwritten === 0 || extended.has(key)) {', 'if (key.refusedUnwritten === 0) {'),
    ],
  },
  {
    name: 'held-act-forgotten-in-a-try',
    wrong: 'what a person does while an event is tried is overwritten by what comes of the try',
    test: holds('and the relay has seen it'),
    edits: [edit(HELD_KEYS, 'known.isOverlooked = true;', 'known.isOverlooked = false;')],
  },
  {
    name: 'held-act-overwritten',
    wrong: "a relay's write takes back what a person has done since it read the keys",
    test: events('are tried at once when a person has acted'),
    edits: [edit(HELD_SQL, 'then k.wait_ms else 0 end as due_ms', 'then k.wait_ms else k.wait_ms end as due_ms')],
  },
  {
    name: 'held-written-by-any-epoch',
    wrong: 'a relay that has lost the route takes away what is held',
    test: events('are not written by who has lost the route'),
    edits: [
      edit(
        HELD_SQL,
        'delete from millrace.held h using l where h.route = l.of_route and h.position',
        'delete from millrace.held h where h.position',
      ),
    ],
  },
  {
    name: 'held-key-closed-over-a-chain',
    wrong: 'a key is taken away while events of it are held',
    test: events('leave with the write that says so'),
    edits: [
      edit(
        HELD_SQL,
        "and h.aggregateid = k.aggregateid and h.status = 'held' and h.position <>",
        "and h.aggregateid = k.aggregateid and h.status = '' and h.position <>",
      ),
    ],
  },
  {
    name: 'held-chain-without-key-unseen',
    wrong: 'a chain whose key was taken away is never found again',
    test: events('are found although their key was taken away'),
    edits: [edit(HELD_SQL, ') k full join (', ') k left join (')],
  },
  {
    name: 'held-copies-not-read',
    wrong: 'an event whose leaf was emptied has no contents any more',
    test: events('outlive their leaf as copies'),
    edits: [
      edit(HELD_SQL, 'then o.payload else h.payload end as payload', 'then o.payload else o.payload end as payload'),
    ],
  },
  {
    name: 'held-by-shard',
    wrong: 'a shard does not see what another one has held',
    test: events('are those of the whole route'),
    edits: [edit(STORE, 'this.heldOf(whole,', 'this.heldOf(route,')],
  },
  {
    name: 'held-number-not-confirmed',
    wrong: 'an action takes other events than a person was shown',
    test: admin('stays as it is when there are other events'),
    edits: [
      edit(
        ADMIN_SQL,
        'or $7::bigint = (select count(*) from candidates)',
        'or $7::bigint <= (select count(*) from candidates)',
      ),
    ],
  },
  {
    name: 'held-discard-leaves-the-chain',
    wrong: 'the chain of a discarded event waits as before',
    test: admin('is discarded by key, by id and by state'),
    edits: [edit(ADMIN_SQL, "from gone g where g.status = 'held'", "from gone g where g.status = 'skipped'")],
  },
  {
    name: 'held-act-not-told',
    wrong: 'the relay that runs the route does not learn of an act',
    test: admin('is tried now where a person says so'),
    edits: [edit(ADMIN_SQL, 'set held_revision = held_revision + 1', 'set held_revision = held_revision')],
  },
  {
    name: 'held-act-not-audited',
    wrong: 'an act leaves no trace',
    test: admin('is tried now where a person says so'),
    edits: [edit(ADMIN_SQL, 'from picked p having count(*) > 0', 'from picked p having count(*) < 0')],
  },
];

function edit(file, find, replace) {
  return { file, find, replace };
}
