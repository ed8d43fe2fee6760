import { describe, expect, it } from '@jest/globals';
import { type RouteConfig } from '@millrace/relay';
import { checkConfig } from './config-check.js';
import { readConfigDocument } from './config-document.js';
import { problemLine } from './config-problem.js';
import { relayConfigOfFile } from './to-relay-config.js';

function check(route: string): ReturnType<typeof checkConfig> {
  const document = readConfigDocument(
    `version: 1
sources: { order: { databaseUrl: postgres://127.0.0.1/orders } }
sinks: { main: { kind: kafka, brokers: "127.0.0.1:9092", topics: { create: false } } }
routes:
  order:
    source: order
    sink: main
${route.replace(/^/gm, '    ')}`,
    { SECRET: 's3cret{' },
  );
  expect(document.problems).toEqual([]);
  return checkConfig(document.value);
}

function linesFor(route: string): readonly string[] {
  const checked = check(route);
  return checked.kind === 'valid' ? [] : checked.problems.map(problemLine);
}

function routeOf(route: string): RouteConfig | undefined {
  const checked = check(route);
  if (checked.kind === 'invalid') {
    throw new Error(checked.problems.map(problemLine).join('\n'));
  }
  return relayConfigOfFile(checked.file, { capture: 'polling', client: 'platformatic', retention: undefined })
    .routes[0];
}

describe('the records of a route', () => {
  it('are as ever without any setting', () => {
    expect(routeOf('')).toEqual({
      name: 'order',
      source: 'order',
      sink: 'main',
      aggregateTypes: null,
      tuning: { drainMs: 3_000 },
    });
  });

  it('can be filtered by aggregate type, event type and header', () => {
    expect(
      routeOf(`filter:
  aggregatetypes: [order]
  types: order.placed, order.paid
  headers: { tenant: [a, "b, c"], region: eu }`),
    ).toMatchObject({
      aggregateTypes: ['order'],
      eventTypes: ['order.placed', 'order.paid'],
      headerValues: [
        { name: 'tenant', values: ['a', 'b, c'] },
        { name: 'region', values: ['eu'] },
      ],
    });
  });

  it("can have Debezium's topics, whose ${name} is no variable of the environment", () => {
    expect(
      routeOf('topic: { by: type, regex: "(?<routedByValue>.*)", replacement: "shop.${routedByValue}.v1" }'),
    ).toMatchObject({
      topic: { by: 'type', regex: '(?<routedByValue>.*)', replacement: 'shop.${routedByValue}.v1' },
    });
    expect(routeOf('topic: {}')?.topic).toEqual({});
  });

  it('can have another key, other headers and another format', () => {
    expect(
      routeOf(`key: "{header:tenant}/{aggregateid}"
headers:
  set: { content-language: de, subject: "{type} of {aggregateid}" }
  rename: { tracingspancontext: traceparent }
  remove: [internal]
format: cloudevents-structured
cloudEventsSource: /shops/{source}`),
    ).toMatchObject({
      key: '{header:tenant}/{aggregateid}',
      headers: {
        set: { 'content-language': 'de', subject: '{type} of {aggregateid}' },
        rename: { tracingspancontext: 'traceparent' },
        remove: ['internal'],
      },
      format: { kind: 'cloudevents', mode: 'structured', source: '/shops/{source}' },
    });
    expect(routeOf('format: raw')).not.toHaveProperty('format');
  });

  it.each([
    ['filter: {}', ['filter: a mapping; give at least one of: aggregatetypes, types, headers']],
    ['filter: { types: [""] }', ['filter.types[0]: an empty text; give a list of event types, at least one']],
    ['filter: { headers: {} }', ['filter.headers: a mapping; give 1 to 10 headers']],
    [
      'filter: { headers: { tenant: [] } }',
      ['filter.headers.tenant: an empty list; give a list of values, at least one'],
    ],
    ['topic: 5', ['topic: a whole number; give a mapping with: by, regex, replacement']],
    ['topic: { regexp: x }', ['topic.regexp: unknown key; known here: by, regex, replacement']],
    [
      'topic: { by: colour, regex: "(a)(?=b)", replacement: x }',
      [
        'topic.by: a text of 6 characters; it has an unknown placeholder; known are {aggregatetype}, {type}, {source}, {route}, {header:name}',
        'topic.regex: a text of 8 characters; it has a look-around, an atomic group or a flag at character 6, which cannot be matched in linear time or is not known',
      ],
    ],
    [
      'topic: { regex: "(.*)", replacement: "x.${routedByValue}" }',
      [
        'topic.replacement: a text of 18 characters; it names a group that the regex does not have; its named groups are: none',
      ],
    ],
    ['topic: { regex: "(.*)", replacement: "$2" }', [expect.stringMatching(/^topic\.replacement: .* it has 1$/)]],
    ['key: all', [expect.stringMatching(/^key: a text of 3 characters; it has no placeholder that differs/)]],
    ['key: "{${SECRET}}"', [expect.stringMatching(/^key: a text of 9 characters; it has characters other than/)]],
    [
      'headers: { set: { millrace-low: 1 } }',
      [expect.stringMatching(/^headers\.set\.millrace-low: a whole number; give/)],
    ],
    [
      'headers: { set: { millrace-low: "1" } }',
      ["headers.set.millrace-low: a text of 1 characters; it is one of Millrace's own names"],
    ],
    [
      'headers: { set: { "a b": "1" } }',
      [expect.stringMatching(/^headers\.set\.a b: .*; it needs a name of 1 to 100/)],
    ],
    [
      'headers: { set: { a: "{what}" } }',
      [expect.stringMatching(/^headers\.set\.a: .* an unknown placeholder; known are \{agg/)],
    ],
    ['headers: { rename: { a: id } }', ["headers.rename.a: a text of 2 characters; it is one of Millrace's own names"]],
    [
      'headers: { rename: { a: c, b: c }, set: { d: x } }',
      [
        'headers.rename.a: a text of 1 characters; it gives a name that another header gets as well',
        'headers.rename.b: a text of 1 characters; it gives a name that another header gets as well',
      ],
    ],
    ['format: avro', ['format: a text of 4 characters; give raw, cloudevents-binary or cloudevents-structured']],
    ['cloudEventsSource: /x', ['cloudEventsSource: a text of 2 characters; give it with a CloudEvents format only']],
    [
      'format: cloudevents-binary\ncloudEventsSource: "a b"',
      ['cloudEventsSource: a text of 3 characters; it is no URI reference of 1 to 500 characters'],
    ],
    [
      'format: cloudevents-binary\nheaders: { set: { Content-Type: x }, rename: { a: ce_id } }',
      [
        'headers.set.Content-Type: a text of 1 characters; it gives a name that the CloudEvents format sets by itself',
        'headers.rename.a: a text of 5 characters; it gives a name that the CloudEvents format sets by itself',
      ],
    ],
  ])('are refused with %j, with the path and without the value', (route, lines) => {
    expect(linesFor(route).map((line) => line.replace(/^routes\.order\./, ''))).toEqual(lines);
  });
});
