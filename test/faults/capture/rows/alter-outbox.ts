import { setTimeout as sleep } from 'node:timers/promises';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { ownEventsSql } from '../own-events.js';

const HARMLESS = [
  'alter table millrace.outbox add column extra text',
  "alter table millrace.outbox add column more integer not null default 7, alter column extra set default 'e'",
  'alter table millrace.outbox rename column extra to other',
  'alter table millrace.outbox drop column other',
  'alter table millrace.outbox drop column more',
];
const BETWEEN_MS = 1_500;
const TOLD_MS = 20_000;

/** A column of the user's own changes nothing; one of ours that has another name is a named error, until it is back. */
export const ALTER_OUTBOX: CaptureRow = {
  id: '28',
  title: 'columns of the outbox added, renamed and dropped under load; one of ours renamed and renamed back',
  modes: BOTH_MODES,
  async run(world) {
    await world.begin();
    for (const statement of HARMLESS) {
      await world.query(statement);
      await sleep(BETWEEN_MS);
      await world.recovers(`"${statement}"`);
    }
    await world.endLoad();
    await world.query(ownEventsSql({ name: 'before', keys: 10, versions: 2 }));
    const mark = world.logMark();
    await world.query('alter table millrace.outbox rename column payload to body');
    await world.query(ownEventsSql({ name: 'while', keys: 10, versions: 2 }).replace('payload)', 'body)'));
    await world.tells(/payload|schema|42703/, mark, TOLD_MS);
    await world.query('alter table millrace.outbox rename column body to payload');
    await world.query(ownEventsSql({ name: 'after', keys: 10, versions: 2 }));
    await world.recovers('the column has its name again');
    await world.streams();
  },
};
