import { needsPostgres } from './settings.mjs';

/** What `--fresh` did: only the data of servers that are started here is removed. */
export function removalNote(settings) {
  const given = [
    ...(needsPostgres(settings) ? [] : ['PostgreSQL']),
    ...(settings.kafka.brokers === undefined ? [] : ['Kafka']),
  ];
  if (given.length === 2) {
    return '--fresh has nothing to remove: PostgreSQL and Kafka are servers of your own, and are left as they are.';
  }
  const left = given.map((title) => ` Your own ${title} is left as it is.`).join('');
  return `Removed the local data.${left}`;
}
