import { setTimeout as sleep } from 'node:timers/promises';
import { HandleEvent, type ReceivedEvent, type Transaction } from '@millrace/inbox';
import { Injectable } from '@nestjs/common';
import { pass } from './barriers.js';
import { KeyChanged } from './key-changed.js';

/** The key's row is locked before the effect gets its number, so these follow the order of the commits. */
const APPLY_SQL = `with total as (
  insert into key_total (key, version, effects) values ($2, $3, 1)
  on conflict (key) do update set version = excluded.version, effects = key_total.effects + 1
  returning coalesce(old.version, 0) as previous
)
insert into effect (id, key, version, previous, member) select $1, $2, $3, previous, $4 from total`;
/** Refuses every other call as PostgreSQL refuses a transaction that another one got in the way of. */
const TRANSIENT_SQL = `do $$ begin
  if random() < 0.5 then raise exception 'put in on purpose' using errcode = '40001'; end if;
end $$`;
const LOCK_SQL = 'select from shared_row where name = $1 for update';
const BETWEEN_LOCKS_MS = 10;
const MEMBER = process.env['CONSUMER_MEMBER'] ?? '';

/** Writes down that an event was applied, and does what its payload asks for beside that. */
@Injectable()
export class KeyHandlers {
  @HandleEvent(KeyChanged)
  async apply({ id, payload }: ReceivedEvent<typeof KeyChanged>, tx: Transaction): Promise<void> {
    pass('after-claim');
    for (const name of payload.locks ?? []) {
      await tx.query(LOCK_SQL, [name]);
      await sleep(BETWEEN_LOCKS_MS);
    }
    await tx.query(APPLY_SQL, [id, payload.key, payload.version, MEMBER]);
    await sleep(payload.workMs ?? 0);
    if (payload.failure === 'transient') {
      await tx.query(TRANSIENT_SQL);
    }
    if (payload.failure === 'poisoned') {
      await refuseWhilePoisoned(tx, id);
    }
    pass('after-handler');
  }
}

async function refuseWhilePoisoned(tx: Transaction, id: string): Promise<void> {
  const found = await tx.query('select 1 from poison where id = $1', [id]);
  if (found.length > 0) {
    throw new Error('This event is poisoned.');
  }
}
