import { setTimeout as sleep } from 'node:timers/promises';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';

const PAGE_ROWS = 2;
const ROUNDS = 8;
const OPEN_MS = 500;

/** Every page is cut, and above most of them are gaps: those of open transactions, of which half will commit. */
export const SMALL_PAGES: CaptureRow = {
  id: '54',
  title: `pages of ${PAGE_ROWS} rows, cut below gaps that commit later`,
  modes: BOTH_MODES,
  edits: [{ file: 'capture/dist/table-reader.js', find: 'pageRowsMax: 2_000', replace: `pageRowsMax: ${PAGE_ROWS}` }],
  async run(world) {
    await world.begin({ eventsPerSecond: 150 });
    for (let round = 0; round < ROUNDS; round += 1) {
      const [first, second] = [await world.connect(), await world.connect()];
      await first.query(`begin; ${ownEventsSql({ name: `first-${round}`, keys: 7, versions: 3 })}`);
      await second.query(`begin; ${ownEventsSql({ name: `second-${round}`, keys: 7, versions: 3 })}`);
      await sleep(OPEN_MS);
      await second.query(round % 2 === 0 ? 'commit' : 'rollback');
      await first.query(round % 2 === 0 ? 'rollback' : 'commit');
      await Promise.all([first.end(), second.end()]);
    }
    await world.recovers('the last transaction');
  },
};
