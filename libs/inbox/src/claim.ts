import { InboxError } from './inbox.errors.js';
import { type Arrival, type Stream } from './inbox-port.js';
import { ADD_STREAMS, CLAIM_BATCH, CLAIM_ONE, HELD_KEYS } from './claim.sql.js';
import { type InboxTransaction } from './inbox-transaction.js';
import { type Statement } from './query-after.js';
import { storedKeyOf } from './stored-key.js';

/** What a claim found. `new` and `key held`: claimed now; the key of the latter has a chain, which is locked for us. */
export type Finding = 'new' | 'key held' | 'duplicate';

/** Thrown when a stream has no floor to compare with yet; what was claimed must not stay. */
export class StreamUnknown extends Error {
  override readonly name = 'StreamUnknown';
}

interface ClaimRow {
  readonly ordinal: number;
  /** Null when nothing was claimed. */
  readonly is_fresh: boolean | null;
  readonly is_stream_unknown: boolean;
  readonly is_key_held: boolean;
}

/**
 * Claims arrivals for a consumer in the given transaction. Throws `StreamUnknown`, and `claim_stale` when the claim had to
 * wait for so long that the rows it compared with could have been removed meanwhile.
 */
export async function claim(
  transaction: InboxTransaction,
  consumer: string,
  arrivals: readonly Arrival[],
): Promise<readonly Finding[]> {
  const { rows } = await transaction.run<ClaimRow>(claimStatement(consumer, arrivals));
  if (rows.some((row) => row.is_stream_unknown)) {
    throw new StreamUnknown();
  }
  if (rows.some((row) => row.is_fresh === false)) {
    throw new InboxError('claim_stale', 'A claim waited for longer than 5 s and was given up. It is tried again.');
  }
  const findings = findingsOf(arrivals, rows);
  const isMixed = findings.includes('new') && findings.includes('duplicate');
  return isMixed ? await lookAgain(transaction, consumer, arrivals, findings) : findings;
}

/** The statement that makes the streams of these arrivals known. */
export function addStreams(consumer: string, arrivals: readonly Arrival[]): Statement {
  const streams = arrivals.map(comparedStream).filter((stream) => stream !== null);
  return {
    text: ADD_STREAMS,
    values: [
      consumer,
      streams.map(({ topic }) => topic),
      streams.map(({ partition }) => partition),
      streams.map(({ source }) => source),
      streams.map(({ route }) => route),
    ],
  };
}

function claimStatement(consumer: string, arrivals: readonly Arrival[]): Statement {
  const [first] = arrivals;
  return first !== undefined && arrivals.length === 1 ? claimOne(consumer, first) : claimBatch(consumer, arrivals);
}

function claimOne(consumer: string, arrival: Arrival): Statement {
  const { id, position, delivery } = arrival;
  const stream = comparedStream(arrival);
  return {
    name: 'millrace_inbox_claim_one',
    text: CLAIM_ONE,
    values: [
      consumer,
      id,
      String(position),
      delivery.topic,
      delivery.partition,
      stream?.source ?? null,
      stream?.route ?? null,
      storedKeyOf(arrival),
    ],
  };
}

function claimBatch(consumer: string, arrivals: readonly Arrival[]): Statement {
  const streams = arrivals.map(comparedStream);
  return {
    name: 'millrace_inbox_claim_batch',
    text: CLAIM_BATCH,
    values: [
      consumer,
      arrivals.map(({ id }) => id),
      arrivals.map(({ position }) => String(position)),
      arrivals.map(({ delivery }) => delivery.topic),
      arrivals.map(({ delivery }) => delivery.partition),
      streams.map((stream) => stream?.source ?? null),
      streams.map((stream) => stream?.route ?? null),
      arrivals.map(storedKeyOf),
    ],
  };
}

/** The stream with whose floor an arrival is compared; null for one that is claimed by its id alone. */
function comparedStream({ stream, isBypassingFloor }: Arrival): Stream | null {
  return isBypassingFloor ? null : stream;
}

/** In the order of the arrivals; of an id that is there twice only the first is new. */
function findingsOf(arrivals: readonly Arrival[], rows: readonly ClaimRow[]): readonly Finding[] {
  const found = new Map(rows.map((row) => [row.ordinal, findingOf(row)]));
  const seen = new Set<string>();
  return arrivals.map(({ id }, index) => {
    const finding = seen.has(id) ? 'duplicate' : found.get(index + 1);
    seen.add(id);
    if (finding === undefined) {
      throw new InboxError('internal', 'The claim did not answer for every event.');
    }
    return finding;
  });
}

function findingOf(row: ClaimRow): Finding {
  if (row.is_fresh === null) {
    return 'duplicate';
  }
  return row.is_key_held ? 'key held' : 'new';
}

/**
 * A duplicate may have become one while the claim waited: a twin set it aside, and its key is held since. The claim's own
 * snapshot is older than that, so later events of the key in this batch would overtake it.
 */
async function lookAgain(
  transaction: InboxTransaction,
  consumer: string,
  arrivals: readonly Arrival[],
  findings: readonly Finding[],
): Promise<readonly Finding[]> {
  const { rows } = await transaction.run<{ topic: string; key: string }>({
    name: 'millrace_inbox_held_keys',
    text: HELD_KEYS,
    values: [consumer, arrivals.map(({ delivery }) => delivery.topic), arrivals.map(storedKeyOf)],
  });
  const isHeld = (arrival: Arrival): boolean =>
    rows.some(({ topic, key }) => topic === arrival.delivery.topic && key === storedKeyOf(arrival));
  return arrivals.map((arrival, index) => {
    const finding = findings[index] ?? 'duplicate';
    return finding === 'new' && isHeld(arrival) ? 'key held' : finding;
  });
}
