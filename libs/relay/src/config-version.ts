import { createHash } from 'node:crypto';
import { DEFAULT_TOPIC_TEMPLATE, type RouteConfig } from './route-config.js';

/**
 * Tells configurations apart: equal for relays that run the same routes, in the same order and with the same filters and
 * topics. Short, and of no use but to be compared.
 */
export function configVersionOf(routes: readonly RouteConfig[]): string {
  const meaning = routes.map(({ name, source, sink, topic = DEFAULT_TOPIC_TEMPLATE, aggregateTypes = null }) => [
    name,
    source,
    sink,
    topic,
    aggregateTypes,
  ]);
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex').slice(0, 12);
}
