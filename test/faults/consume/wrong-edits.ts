import { type LibEdit } from '../../harness/libs-copy.js';

const PLACE = 'inbox/dist/partition-place.js';
const CLAIM_SQL = 'inbox/dist/claim.sql.js';

/** For all runs: sessions shorter than brokers allow by default, so that a run sees a take-over after three seconds. */
export const SHORT_SESSIONS: readonly LibEdit[] = [
  {
    file: 'transport/dist/kafka/create-kafka-subscription.js',
    find: "'sessionTimeoutMs', sessionTimeoutMs, 6_000",
    replace: "'sessionTimeoutMs', sessionTimeoutMs, 1_000",
  },
];

const IS_NOT_DUE = '(h.next_try is null or h.next_try > clock_timestamp())';

/** Wrong rules that are edits of the code; by name. The others stand in app/wrong-rules.ts. */
export const WRONG_EDITS: Readonly<Record<string, readonly LibEdit[] | undefined>> = {
  'floor-from-memory': [
    { file: CLAIM_SQL, find: 'or $3 > f.floor', replace: 'or f.floor is not null' },
    { file: CLAIM_SQL, find: 'or a.position > a.floor', replace: 'or a.floor is not null' },
  ],
  'floor-over-hole': [
    { file: PLACE, find: 'if (this.#hole === null) {', replace: 'if (this.known !== null) {' },
    { file: PLACE, find: 'nextOffset, hole: this.#hole, floors', replace: 'nextOffset, hole: null, floors' },
  ],
  'inbox-by-time': [
    { file: CLAIM_SQL, find: 'on conflict (consumer, id) do nothing', replace: 'on conflict do nothing', times: 2 },
  ],
  'released-key-is-free': [
    { file: CLAIM_SQL, find: 'and h.key = $8 for share', replace: `and h.key = $8 and ${IS_NOT_DUE} for share` },
    { file: CLAIM_SQL, find: 'and h.key = any ($8)\n', replace: `and h.key = any ($8) and ${IS_NOT_DUE}\n` },
  ],
};

/** A partition by time needs the time in its unique key. The "day" is two seconds long, so that a run sees midnights. */
const INBOX_BY_TIME = `drop table millrace.inbox;
create table millrace.inbox (
  consumer text not null,
  id uuid not null,
  floor_id bigint,
  position bigint,
  kept_until timestamptz,
  day bigint not null default floor(extract(epoch from clock_timestamp()) / 2),
  primary key (consumer, id, day)
) partition by range (day);
create table millrace.inbox_of_all_days partition of millrace.inbox default`;

/** What goes with such an edit, in the consumer's database. */
export const WRONG_TABLES: Readonly<Record<string, string | undefined>> = { 'inbox-by-time': INBOX_BY_TIME };
