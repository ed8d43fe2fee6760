import { type RouteConfig } from '@millrace/relay';

type RouteSettings = Omit<RouteConfig, 'name' | 'source' | 'sink'>;

const TOPIC_REGEX: RouteSettings = {
  topic: { by: 'type', regex: '(?<what>[a-z]+)\\.(?<verb>[a-z]+)', replacement: 'shop.${what}.${verb}' },
};
const KEY: RouteSettings = { key: '{header:tenant}/{aggregateid}' };
const HEADERS: RouteSettings = {
  headers: {
    set: { origin: '{source}/{route}', at: '{occurredat}' },
    rename: { tenant: 'x-tenant' },
    remove: ['region'],
  },
};
const FILTER: RouteSettings = {
  aggregateTypes: ['order', 'stock'],
  eventTypes: ['order.placed', 'order.paid', 'order.cancelled'],
  headerValues: [{ name: 'region', values: ['eu', 'us'] }],
};

/** Routes by what they want of their records, from nothing to everything. */
export const ENCODE_ROUTES: Readonly<Record<string, RouteSettings>> = {
  default: {},
  'topic by template': { topic: 'shop.{aggregatetype}.{header:region}' },
  'topic by regex': TOPIC_REGEX,
  'key by template': KEY,
  'headers set, renamed, removed': HEADERS,
  'filter by types and a header': FILTER,
  'CloudEvents, binary': { format: { kind: 'cloudevents', mode: 'binary' } },
  'CloudEvents, structured': { format: { kind: 'cloudevents', mode: 'structured' } },
  'regex, key, headers, filter, structured': {
    ...TOPIC_REGEX,
    ...KEY,
    ...HEADERS,
    ...FILTER,
    format: { kind: 'cloudevents', mode: 'structured' },
  },
};
