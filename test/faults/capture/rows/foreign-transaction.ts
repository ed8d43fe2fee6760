import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '../../../harness/servers.js';
import { type CaptureRow } from '../capture-row.js';

const OPEN_MS = 20_000;
const GAPS_SQL = 'select count(*)::int as gaps from millrace.ledger_gap';

/** A write transaction of another database holds the cluster's oldest snapshot; gaps must die all the same. */
export const FOREIGN_TRANSACTION: CaptureRow = {
  id: '56',
  title: 'write transaction open in another database, rollbacks here',
  modes: ['polling', 'wal', 'auto'],
  async run(world) {
    await world.begin({ eventsPerSecond: 500 });
    await world.query('create database foreign_one');
    let most = 0;
    await withClient(world.postgres.databaseUrl('foreign_one'), async (client) => {
      await client.query('begin; create table held (id int)');
      for (let waitedMs = 0; waitedMs < OPEN_MS; waitedMs += 1_000) {
        await sleep(1_000);
        const [row] = await world.query<{ gaps: number }>(GAPS_SQL);
        most = Math.max(most, row?.gaps ?? 0);
      }
      await world.recovers('20 s of load');
      await world.endLoad();
      const areGone = await world.holds(10_000, async () => {
        const [row] = await world.query<{ gaps: number }>(GAPS_SQL);
        return row?.gaps === 0;
      });
      if (!areGone) {
        world.found(
          'bounded',
          'gaps of transactions that were rolled back are left while the other transaction is open',
        );
      }
      await client.query('commit');
    });
    world.note(`at most ${most} gap ranges`);
  },
};
