import { createHash } from 'node:crypto';
import { DEFAULT_KEY_TEMPLATE } from './record-shape.js';
import { DEFAULT_TOPIC_TEMPLATE, type RouteConfig } from './route-config.js';

const RAW = { kind: 'raw' } as const;
const PLAIN = [null, [], DEFAULT_KEY_TEMPLATE, [], [], [], RAW];

/**
 * Tells configurations apart: equal for relays that run the same routes, in the same order and with the same filters,
 * topics, keys, headers and formats. Short, and of no use but to be compared.
 */
export function configVersionOf(routes: readonly RouteConfig[]): string {
  const meaning = routes.map((route) => {
    const { name, source, sink, topic = DEFAULT_TOPIC_TEMPLATE, aggregateTypes = null } = route;
    return [name, source, sink, topic, aggregateTypes, ...restOf(route)];
  });
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex').slice(0, 12);
}

/** Nothing where all of it is the default: then relays of the release before, which knew none of it, are equal. */
function restOf(route: RouteConfig): readonly unknown[] {
  const { eventTypes = null, headerValues = [], key = DEFAULT_KEY_TEMPLATE, headers = {}, format } = route;
  const { set = {}, rename = {}, remove = [] } = headers;
  const settings = [eventTypes, headerValues, key, Object.entries(set), Object.entries(rename), remove, format ?? RAW];
  return JSON.stringify(settings) === JSON.stringify(PLAIN) ? [] : settings;
}
