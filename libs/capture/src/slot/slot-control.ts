import { type Epoch } from '@millrace/events';
import { CaptureError } from '../capture.errors.js';
import { type PgConnection } from '../pg-connection.js';
import { INSUFFICIENT_PRIVILEGE, OBJECT_IN_USE, sqlStateOf, UNDEFINED_OBJECT } from '../sql-state.js';
import { HEARTBEAT_SQL } from './heartbeat.js';
import { DROP_SLOTS_SQL, END_READERS_SQL, ENSURE_PUBLICATION_SQL } from './slot-control.sql.js';
import { PUBLICATION_NAME, slotPrefix } from './slot-name.js';
import { slotReading, type SlotReading } from './slot-reading.js';
import { SLOT_READING_SQL } from './slot-reading.sql.js';

/** The claim under which slots are made, dropped and taken over. */
export interface SlotClaim {
  readonly route: string;
  readonly epoch: Epoch;
}

const MAY_NOT_PUBLISH =
  'Publication millrace cannot be made: grant CREATE on the database to the owner of schema millrace and run ' +
  '`millrace migrate`, or have a superuser run `create publication millrace for table millrace.outbox ' +
  "with (publish = 'insert', publish_via_partition_root = true)`; a publication of that name with another owner has to " +
  'be dropped by him first.';
const MAY_NOT_END_READER =
  'A relay that lost the route still reads its slot under another role, and this one may not end it: let all relays use ' +
  'one role, or grant pg_signal_backend to it. wal_sender_timeout ends a reader that is dead.';
const MAY_NOT_DROP =
  'The role of the relay lacks the attribute REPLICATION and may not drop the slot of the route, which holds WAL on the ' +
  'server: give it the attribute, or have a superuser run ';
const DATABASE_OID_SQL = 'select oid::text from pg_database where datname = current_database()';

/**
 * The statements on a route's slots and the publication, on a connection that nobody else holds up. Those that take
 * something away change nothing, and throw `CaptureError` `fenced`, once another relay has the route. Errors are
 * `CaptureError`.
 */
export class SlotControl {
  private databaseOid: string | undefined;

  constructor(
    private readonly connection: PgConnection,
    private readonly claim: SlotClaim,
  ) {}

  /** All about the route's slots, the publication and the server, in one statement. */
  async read(): Promise<SlotReading> {
    const values = [await this.prefix(), PUBLICATION_NAME];
    return slotReading(await this.connection.records({ text: SLOT_READING_SQL, name: 'millrace_slot', values }));
  }

  /**
   * Has the publication made, or made anew where it is not as it must be. Resolves when it is right. It belongs to the
   * owner of the schema, whose function does it: the relay's role needs no right on the table or the database.
   */
  async ensurePublication(): Promise<void> {
    try {
      await this.connection.run(ENSURE_PUBLICATION_SQL);
    } catch (error) {
      if (sqlStateOf(error) === INSUFFICIENT_PRIVILEGE) {
        throw new CaptureError('not_authorised', MAY_NOT_PUBLISH, { cause: error });
      }
      throw error;
    }
  }

  /** Drops those of the slots that nobody reads; resolves to how many. */
  async drop(names: readonly string[]): Promise<number> {
    try {
      return await this.owned(DROP_SLOTS_SQL, [names]);
    } catch (error) {
      if (sqlStateOf(error) === OBJECT_IN_USE || sqlStateOf(error) === UNDEFINED_OBJECT) {
        return 0; // taken or dropped between the reading and the act: the next reading tells
      }
      if (sqlStateOf(error) === INSUFFICIENT_PRIVILEGE) {
        const drops = names.map((name) => `\`select pg_drop_replication_slot('${name}')\``).join(', ');
        throw new CaptureError('not_authorised', `${MAY_NOT_DROP}${drops}.`, { cause: error });
      }
      throw error;
    }
  }

  /**
   * Ends every backend that reads or makes a slot of this route, but for `ourPid`: they belong to an owner that has
   * lost the route. Resolves to how many were told to end; they are gone when a reading shows no `activePid`.
   */
  async endReaders(ourPid: number | null): Promise<number> {
    try {
      return await this.owned(END_READERS_SQL, [await this.prefix(), ourPid ?? 0]);
    } catch (error) {
      if (sqlStateOf(error) === INSUFFICIENT_PRIVILEGE) {
        throw new CaptureError('not_authorised', MAY_NOT_END_READER, { cause: error });
      }
      throw error;
    }
  }

  /** Writes a message into the WAL for the slot's reader to find. */
  async emitHeartbeat(): Promise<void> {
    await this.connection.run(HEARTBEAT_SQL);
  }

  async close(): Promise<void> {
    await this.connection.close();
  }

  private async owned(text: string, values: readonly unknown[]): Promise<number> {
    const { route, epoch } = this.claim;
    const [row] = await this.connection.records({ text, values: [route, String(epoch), ...values] });
    if (row?.['owned'] !== '1') {
      throw new CaptureError('fenced', `Route ${route} has been taken over: its slot is left to the new owner.`);
    }
    return Number(row['done'] ?? 0);
  }

  private async prefix(): Promise<string> {
    if (this.databaseOid === undefined) {
      const [row] = await this.connection.rows({ text: DATABASE_OID_SQL });
      this.databaseOid = row?.[0] ?? '';
    }
    return slotPrefix({ route: this.claim.route, databaseOid: this.databaseOid });
  }
}
