import { CaptureError } from '../capture.errors.js';
import { PgConnection } from '../pg-connection.js';
import { columnReader } from '../required-text.js';
import { DEFAULT_SLOT_LIMIT, limitBytes } from '../slot/slot-limit.js';
import { slotPrefix } from '../slot/slot-name.js';
import { OBJECT_IN_USE, sqlStateOf, UNDEFINED_OBJECT } from '../sql-state.js';
import { DROP_LEFT_SLOT_SQL, LEFT_SLOTS_SQL } from './left-slots.sql.js';
import { RetentionAlarms } from './retention-alarms.js';
import { type RetentionAlarm, type RetentionObserver } from './retention-observer.js';

/** Whose slots are looked after. */
export interface LeftSlotsParts {
  readonly source: string;
  readonly databaseUrl: string;
  readonly observer: Pick<RetentionObserver, 'slotLetGo' | 'alarmRaised' | 'alarmCleared'>;
  /** The most WAL that a slot may hold which nobody reads, as for one that is read. */
  readonly retainedBytesMax?: bigint;
}

interface LeftSlot {
  readonly route: string;
  /** Whatever it holds: its route has expired, or is a shard that is no more. */
  readonly hasToGo: boolean;
  readonly name: string;
  readonly retainedBytes: bigint;
  readonly safeWalBytes: bigint | null;
}

const column = columnReader('A statement on slots that nobody reads');

/**
 * The slots of routes that nobody runs hold WAL until the producers' disk is full: that of an expired route goes, and that
 * of a shard that is no more (a fail-over brought it back, or a relay that was frozen made it late); that of a stopped one
 * goes at the limit at which a running route would let it go. Nothing is lost: a route begins by reading
 * the table, and makes a slot anew. Decided in the database under the lock of the ledger's row, so any number of relays
 * may do it.
 */
export class LeftSlots {
  private readonly alarms: RetentionAlarms;

  constructor(private readonly parts: LeftSlotsParts) {
    this.alarms = new RetentionAlarms(parts.observer);
  }

  /** Resolves to the alarms that there are: slots that have to go and could not. Throws `CaptureError`. */
  async letGo(signal: AbortSignal): Promise<readonly RetentionAlarm[]> {
    const { databaseUrl } = this.parts;
    const connection = new PgConnection({ databaseUrl, applicationName: 'millrace retention', signal });
    const alarms: RetentionAlarm[] = [];
    try {
      for (const slot of await leftSlots(connection)) {
        if (slot.hasToGo || this.isTooBig(slot)) {
          alarms.push(...(await this.drop(connection, slot)));
        }
      }
    } finally {
      await connection.close();
    }
    this.alarms.set(alarms);
    return alarms;
  }

  private isTooBig({ retainedBytes, safeWalBytes }: LeftSlot): boolean {
    const { retainedBytesMax = DEFAULT_SLOT_LIMIT.retainedBytesMax } = this.parts;
    const pressure = { nowMs: 0, retainedBytes, safeWalBytes, isCaughtUp: false };
    return retainedBytes > 0n && retainedBytes >= limitBytes({ ...DEFAULT_SLOT_LIMIT, retainedBytesMax }, pressure);
  }

  private async drop(connection: PgConnection, slot: LeftSlot): Promise<RetentionAlarm[]> {
    const { source, observer } = this.parts;
    const { route, name, retainedBytes } = slot;
    try {
      const [row] = await connection.records({ text: DROP_LEFT_SLOT_SQL, values: [route, name] });
      if (row?.['dropped'] === '1') {
        observer.slotLetGo?.({ source, route, slot: name, retainedBytes });
      }
      return [];
    } catch (error) {
      const sqlState = sqlStateOf(error);
      if (sqlState === OBJECT_IN_USE || sqlState === UNDEFINED_OBJECT) {
        return []; // read or dropped since it was looked at
      }
      if (error instanceof CaptureError && error.code === 'not_authorised') {
        return [{ source, kind: 'slot_left', route, slot: name, retainedBytes }];
      }
      throw error;
    }
  }
}

async function leftSlots(connection: PgConnection): Promise<LeftSlot[]> {
  const rows = await connection.records({ text: LEFT_SLOTS_SQL });
  return rows
    .map((row) => ({
      route: column(row, 'route'),
      hasToGo: row['has_to_go'] === 't',
      databaseOid: column(row, 'database_oid'),
      name: column(row, 'slot_name'),
      // nothing is held for one that the server has given up
      retainedBytes: BigInt(row['retained_bytes'] ?? 0),
      safeWalBytes: row['safe_wal_size'] ? BigInt(row['safe_wal_size']) : null,
    }))
    .filter(({ name, ...owner }) => name.startsWith(slotPrefix(owner)));
}
