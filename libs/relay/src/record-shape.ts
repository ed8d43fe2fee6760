import { HEADER, isReservedHeader, type OutboxEvent } from '@millrace/events';
import { type SinkHeader } from '@millrace/transport';
import {
  EVENT_FIELDS,
  EventTemplate,
  type FixedFields,
  templateProblem,
  type TemplateRules,
} from './event-template.js';
import { HeaderMapper, type HeaderMapping, headerMappingProblems } from './header-mapping.js';
import {
  cloudEventsSourceProblem,
  isCloudEventsHeader,
  type PayloadEncoder,
  payloadEncoderOf,
  type PayloadFormat,
} from './payload-format.js';
import { RelayError } from './relay.errors.js';

/** How a route wants its records, where it is not the default: see `RouteConfig`. */
export interface RecordShapeConfig {
  readonly key?: string;
  readonly headers?: HeaderMapping;
  readonly format?: PayloadFormat;
}

/** The key template of a route that names none. */
export const DEFAULT_KEY_TEMPLATE = '{aggregateid}';

const KEY_BYTES_MAX = 1_024;
const CACHE_ENTRIES_MAX = 1_000;
const CACHED_NAME_MAX = 200;
const AGGREGATE_ID = Buffer.from(HEADER.aggregateId);

/** How the records of a route are made of its events: made once per route, asked once per event. */
export class RecordShape {
  /** `null`: the aggregate's id. */
  private readonly key: EventTemplate | null;
  private readonly mapper: HeaderMapper | null;
  private readonly format: PayloadEncoder | null;
  private readonly names = new Map<string, Buffer>();

  /** Throws `RelayError` `configuration` that names every problem. */
  constructor(config: RecordShapeConfig, fixed: FixedFields) {
    const { key = DEFAULT_KEY_TEMPLATE, headers, format = { kind: 'raw' } } = config;
    const problems = recordShapeProblems(config, fixed);
    if (problems.length > 0) {
      const list = problems.map(({ path, message }) => `${path.join('.')} ${message}`);
      throw new RelayError('configuration', `${list.join('; ')}.`);
    }
    this.key = key === DEFAULT_KEY_TEMPLATE ? null : new EventTemplate(key, keyRules(fixed));
    this.mapper = headers === undefined ? null : new HeaderMapper(headers, fixed);
    this.format = payloadEncoderOf(format, fixed);
  }

  /**
   * What the sink orders by: records with the same key keep the order of their events. Throws `RelayError`
   * `event_refused` when the event gives no key.
   */
  keyOf(event: OutboxEvent): Buffer {
    return this.key === null ? Buffer.from(event.aggregateId) : keyBy(this.key, event);
  }

  valueOf(event: OutboxEvent): Buffer {
    return this.format === null ? Buffer.from(event.payload) : this.format.valueOf(event);
  }

  /** The headers that are not Millrace's own; and the aggregate's id, where it is not the key. */
  appendHeaders(event: OutboxEvent, out: SinkHeader[]): void {
    const { headers } = event;
    if (this.key !== null) {
      out.push([AGGREGATE_ID, Buffer.from(event.aggregateId)]);
    }
    if (headers !== null) {
      this.appendProducerHeaders(headers, out);
    }
    this.mapper?.appendSet(event, out);
    this.format?.appendHeaders(event, out);
  }

  private appendProducerHeaders(headers: Readonly<Record<string, string>>, out: SinkHeader[]): void {
    for (const [given, value] of Object.entries(headers)) {
      const name = this.mapper === null ? given : this.mapper.nameOf(given, headers);
      if (name !== null && !isReservedHeader(given) && (this.format === null || !isCloudEventsHeader(name))) {
        out.push([this.nameBytes(name), Buffer.from(value)]);
      }
    }
  }

  /** Producers choose the names, so the cache is emptied when it has grown large. */
  private nameBytes(name: string): Buffer {
    const known = this.names.get(name);
    if (known !== undefined) {
      return known;
    }
    if (this.names.size >= CACHE_ENTRIES_MAX) {
      this.names.clear();
    }
    const made = Buffer.from(name);
    if (made.length <= CACHED_NAME_MAX) {
      this.names.set(name, made);
    }
    return made;
  }
}

/** What is wrong with a setting of a record's shape: where it stands, and what, repeating no value. */
export interface RecordShapeProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** Everything that is wrong with a shape, whatever the events are. */
export function recordShapeProblems(config: RecordShapeConfig, fixed: FixedFields): readonly RecordShapeProblem[] {
  const { key = DEFAULT_KEY_TEMPLATE, headers = {}, format = { kind: 'raw' } } = config;
  const keyProblem = templateProblem(key, keyRules(fixed), (template) =>
    template.constant === null ? null : 'has no placeholder that differs between events: all would get one key',
  );
  const mappingProblems = headerMappingProblems(headers, fixed);
  return [
    ...(keyProblem === null ? [] : [{ path: ['key'], message: keyProblem }]),
    ...mappingProblems.map(({ path, message }) => ({ path: ['headers', ...path], message })),
    ...(format.kind === 'raw' ? [] : cloudEventsProblems(format.source, headers, fixed)),
  ];
}

function cloudEventsProblems(
  source: string | undefined,
  { set = {}, rename = {} }: HeaderMapping,
  fixed: FixedFields,
): readonly RecordShapeProblem[] {
  const problem = source === undefined ? null : cloudEventsSourceProblem(source, fixed);
  const given = [
    ...Object.keys(set).map((name) => ({ path: ['headers', 'set', name], name })),
    ...Object.entries(rename).map(([from, name]) => ({ path: ['headers', 'rename', from], name })),
  ];
  const message = 'gives a name that the CloudEvents format sets by itself';
  return [
    ...(problem === null ? [] : [{ path: ['format', 'source'], message: problem }]),
    ...given.flatMap(({ path, name }) => (isCloudEventsHeader(name) ? [{ path, message }] : [])),
  ];
}

function keyRules(fixed: FixedFields): TemplateRules {
  return { fields: EVENT_FIELDS, takesHeaders: true, fixed };
}

/** The limits are those of the aggregate's id, which is the key elsewhere. */
function keyBy(template: EventTemplate, event: OutboxEvent): Buffer {
  const text = template.fill(event);
  const key = text === null ? null : Buffer.from(text);
  if (key === null || key.length === 0 || key.length > KEY_BYTES_MAX) {
    const what =
      key === null ? 'names a header, or a version, that the event does not have' : `gives ${key.length} bytes`;
    throw new RelayError(
      'event_refused',
      `The key template of the route ${what}; a key has 1 to ${KEY_BYTES_MAX} bytes. ` +
        'Choose another key for the route, or a filter that leaves such events out, and restart the relay.',
    );
  }
  return key;
}
