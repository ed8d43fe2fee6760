import { parentPort, workerData } from 'node:worker_threads';
import { polledRow, RowFilter } from '@millrace/capture';
import { toEpoch, toPosition } from '@millrace/events';
import { parseRoute, RecordEncoder, type Route } from '@millrace/relay';
import { median } from '../statistics.js';
import { ENCODE_ROUTES } from './encode-routes.js';
import { COLUMN, outboxTexts, type OutboxTexts } from './encode-rows.js';

const ROWS = 20_000;
const WARM_UP_ROUNDS = 20;
const ROUNDS = 25;

main();

/** Measures the route that it was given, in an isolate of its own: V8 has compiled nothing for other routes. */
function main(): void {
  const route = parseRoute({ ...ENCODE_ROUTES[String(workerData)], name: 'bench', source: 'main', sink: 'main' });
  const rows = outboxTexts(ROWS);
  const rounds = Array.from({ length: WARM_UP_ROUNDS + ROUNDS }, () => nanosecondsPerEvent(route, rows));
  parentPort?.postMessage(median(rounds.slice(WARM_UP_ROUNDS)));
}

/** From the texts of a row to its record, with every question that the relay asks about an event on the way. */
function nanosecondsPerEvent(route: Route, rows: readonly OutboxTexts[]): number {
  const { name, source, topic, shape } = route;
  const filter = new RowFilter(route.filter);
  const encoder = new RecordEncoder(
    { source, route: name, epoch: toEpoch('4294967297'), topic, shape },
    toPosition('0'),
  );
  let bytes = 0;
  const began = process.threadCpuUsage();
  for (const row of rows) {
    if (isWanted(filter, row)) {
      const { event } = polledRow(row, name);
      if (event !== null) {
        encoder.topicOf(event); // is it open?
        encoder.topicOf(event); // which lane?
        encoder.keyOf(event);
        bytes += encoder.encode(event).bytes;
      }
    }
  }
  const { user, system } = process.threadCpuUsage(began);
  if (bytes < rows.length) {
    throw new Error('The filter left events out: they cannot be compared.');
  }
  return ((user + system) * 1_000) / rows.length;
}

/** As it is asked where rows come from the stream; a poll's statement filters in PostgreSQL. */
function isWanted(filter: RowFilter, row: OutboxTexts): boolean {
  return (
    filter.wantsAggregateType(row[COLUMN.aggregateType] ?? '') &&
    filter.wantsEventType(row[COLUMN.type] ?? '') &&
    filter.wantsHeaders(row[COLUMN.headers] ?? null)
  );
}
