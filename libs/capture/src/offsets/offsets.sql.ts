import { type TextColumns } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import { type LaneOffset, type LedgerNotes, type StoredLaneOffset } from './lane-offset.js';

/** One more part of the ledger's statement: reads from `l`, the row that was updated, and so does nothing without it. */
export interface LedgerPart {
  /** Tells its statements apart; parts of the same name have the same text. */
  readonly name: string;
  /** `first` is the number of its first parameter. */
  readonly sql: (first: number) => string;
  readonly values: readonly unknown[];
}

const column = columnReader('A reading of the lanes of a route');

/** The offsets of a route are those of all its shards: each partition has one writer, whoever that is. $1 route. */
export const LANE_OFFSETS_SQL = `select o.topic, o.topic_id, o.partition::text, o.next_offset::text,
  floor(extract(epoch from o.at) * 1000)::bigint::text as at_ms
from millrace.ledger_offset o where o.route = $1 order by o.topic, o.partition`;

/** Reads a row of `LANE_OFFSETS_SQL`. */
export function storedLaneOffset(row: TextColumns): StoredLaneOffset {
  return {
    topic: column(row, 'topic'),
    topicId: row['topic_id'] ?? null,
    partition: Number(column(row, 'partition')),
    nextOffset: BigInt(column(row, 'next_offset')),
    atMs: Number(column(row, 'at_ms')),
  };
}

/** The parts of the ledger's statement that these notes are; none for notes without content. */
export function notesParts({ offsets = [], lanesGone = [], checkpoint = [] }: LedgerNotes): LedgerPart[] {
  return [
    ...(offsets.length === 0 ? [] : [offsetsPart(offsets)]),
    ...(lanesGone.length === 0 ? [] : [lanesGonePart(lanesGone)]),
    ...(checkpoint.length === 0 ? [] : [checkpointPart(checkpoint)]),
  ];
}

function offsetsPart(offsets: readonly LaneOffset[]): LedgerPart {
  return {
    name: 'offsets',
    sql: (first) => `, offsets as (
  insert into millrace.ledger_offset (route, topic, topic_id, partition, next_offset, at)
  select l.of_route, o.topic, o.topic_id, o.partition, o.next_offset,
    clock_timestamp() - o.age_ms * interval '1 millisecond'
  from l cross join unnest($${first}::text[], $${first + 1}::text[], $${first + 2}::integer[], $${first + 3}::bigint[],
    $${first + 4}::bigint[]) o (topic, topic_id, partition, next_offset, age_ms)
  on conflict (route, topic, partition) do update
  set topic_id = excluded.topic_id, next_offset = excluded.next_offset, at = excluded.at
)`,
    values: [
      offsets.map(({ topic }) => topic),
      offsets.map(({ topicId }) => topicId),
      offsets.map(({ partition }) => partition),
      offsets.map(({ nextOffset }) => String(nextOffset)),
      offsets.map(({ ageMs }) => Math.ceil(ageMs)),
    ],
  };
}

function lanesGonePart(lanes: NonNullable<LedgerNotes['lanesGone']>): LedgerPart {
  return {
    name: 'gone',
    sql: (first) => `, lanes_gone as (
  delete from millrace.ledger_offset o using l, unnest($${first}::text[], $${first + 1}::integer[]) g (topic, partition)
  where o.route = l.of_route and o.topic = g.topic and o.partition = g.partition
)`,
    values: [lanes.map(({ topic }) => topic), lanes.map(({ partition }) => partition)],
  };
}

function checkpointPart(lanes: NonNullable<LedgerNotes['checkpoint']>): LedgerPart {
  const byTopic = new Map<string, [partition: number, nextOffset: string][]>();
  for (const { topic, partition, nextOffset } of lanes) {
    byTopic.set(topic, [...(byTopic.get(topic) ?? []), [partition, String(nextOffset)]]);
  }
  // not by assignment: a topic may be called __proto__
  const offsets = Object.fromEntries([...byTopic].map(([topic, next]) => [topic, Object.fromEntries(next)]));
  return {
    name: 'checkpoint',
    sql: (first) => `, checkpoint as (
  insert into millrace.checkpoint (route, low, high, offsets) select l.route, $4::bigint, $5::bigint, $${first}::jsonb from l
)`,
    values: [JSON.stringify(offsets)],
  };
}
