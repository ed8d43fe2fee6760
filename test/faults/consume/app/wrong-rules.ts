import { Park } from '@millrace/inbox';
import { type SubscriptionPort } from '@millrace/transport';
import { type DataSource } from 'typeorm';
import type { Arrival, Handle, InboxPort } from '../../../../libs/inbox/src/inbox-port.js';
import { type Decoration } from './around-inbox.js';
import { pass } from './barriers.js';

/*
 * Rules that a natural reading would allow, put around the inbox and the subscription by their names. Others are edits of
 * the code (see ../wrong-edits.ts), or the producer's.
 */

/** The open data source of the application. */
export type Databases = () => DataSource;

const CLAIMED_SQL = 'select id::text from millrace.inbox where id = any($1::uuid[])';
const PRUNE_SQL = 'delete from millrace.inbox where position <= $1';

/** What a wrong rule puts around the inbox; `undefined` for one that is not of here. */
export function wrongInbox(rule: string, databases: Databases): Decoration | undefined {
  switch (rule) {
    case 'claim-after-handler':
      return (inner) => claimingAfter(inner, databases);
    case 'no-claims':
      return () => ({ apply: async (arrivals, handle) => withoutClaim(databases(), arrivals, handle) });
    case 'prune-by-low':
      return (inner) => pruningByLow(inner, databases);
    case 'conflict-is-final':
      return (inner) => withHandle(inner, parkingConflicts);
    case 'park-event-alone':
      return parkingAlone;
    case 'endless-transaction':
      return (inner) => withHandle(inner, standingStillForEver);
    default:
      return undefined;
  }
}

/** What a wrong rule puts around the subscription. */
export function wrongSubscription(rule: string): ((port: SubscriptionPort) => SubscriptionPort) | undefined {
  return rule === 'offset-before-commit' ? committingAtOnce : undefined;
}

/** Looks for the claim, then runs and commits the handler, and only then claims. */
function claimingAfter(inner: InboxPort, databases: Databases): Partial<InboxPort> {
  return {
    apply: async (arrivals, handle) => {
      const rows = await databases().query<{ id: string }[]>(CLAIMED_SQL, [arrivals.map(({ id }) => id)]);
      const claimed = new Set(rows.map(({ id }) => id));
      await withoutClaim(
        databases(),
        arrivals.filter(({ id }) => !claimed.has(id)),
        handle,
      );
      pass('before-late-claim');
      return inner.apply(arrivals, async () => Promise.resolve());
    },
  };
}

/** Handler and transaction as they should be, but nobody remembers the event. */
async function withoutClaim(database: DataSource, arrivals: readonly Arrival[], handle: Handle): Promise<'applied'[]> {
  for (const arrival of arrivals) {
    await database.transaction(async (manager) =>
      handle(arrival, { manager, query: async (sql, values) => manager.query(sql, [...(values ?? [])]) }),
    );
  }
  return arrivals.map(() => 'applied');
}

/** No floor is kept or compared, and the low of any record removes claims, whatever partition they are of. */
function pruningByLow(inner: InboxPort, databases: Databases): Partial<InboxPort> {
  return {
    apply: async (arrivals, handle) => {
      const outcomes = await inner.apply(arrivals, handle);
      for (const { delivery } of arrivals) {
        await databases().query(PRUNE_SQL, [delivery.headers.get('millrace-low')?.toString() ?? '0']);
      }
      return outcomes;
    },
    openPartition: async (topic, partition) => ({ ...(await inner.openPartition(topic, partition)), floors: [] }),
    saveProgress: async (progress) => inner.saveProgress(progress.map((one) => ({ ...one, floors: [] }))),
  };
}

/** The event is parked and its key is not: later events of the key go on. */
function parkingAlone(inner: InboxPort): Partial<InboxPort> {
  return {
    hold: async (arrival) => {
      await inner.apply([arrival], async () => Promise.resolve());
      return 'chained';
    },
  };
}

function withHandle(inner: InboxPort, change: (handle: Handle) => Handle): Partial<InboxPort> {
  return { apply: async (arrivals, handle) => inner.apply(arrivals, change(handle)) };
}

function parkingConflicts(handle: Handle): Handle {
  return async (arrival, tx) => {
    try {
      await handle(arrival, tx);
    } catch (error) {
      const code: unknown = Reflect.get(Object(error), 'code');
      throw code === '40001' || code === '40P01' ? new Park('conflict', 'Another transaction was in the way.') : error;
    }
  };
}

function standingStillForEver(handle: Handle): Handle {
  return async (arrival, tx) => {
    await tx.query('set local idle_in_transaction_session_timeout = 0');
    await handle(arrival, tx);
  };
}

/** The broker's offset moves as soon as records have come, and alone says where to go on. */
function committingAtOnce(port: SubscriptionPort): SubscriptionPort {
  return {
    kind: port.kind,
    status: () => port.status(),
    stop: async () => port.stop(),
    start: async (listener) =>
      port.start({
        open: async (partition, signal) => {
          const receiver = await listener.open({ ...partition, commit: () => undefined }, signal);
          return {
            receive: async (chunk) => {
              partition.commit(chunk.nextOffset);
              await receiver.receive(chunk);
            },
            close: async () => receiver.close(),
          };
        },
      }),
  };
}
