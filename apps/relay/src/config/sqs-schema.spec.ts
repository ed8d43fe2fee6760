import { describe, expect, it } from '@jest/globals';
import { DirectoryPayloadStore } from '@millrace/transport';
import { checkConfig } from './config-check.js';
import { readConfigDocument } from './config-document.js';
import { problemLine } from './config-problem.js';
import { relayConfigOfFile } from './to-relay-config.js';

const ROOT = 'https://sqs.eu-west-1.amazonaws.com/123456789012';

function check(sink: string): ReturnType<typeof checkConfig> {
  return checkConfig(
    readConfigDocument(
      `version: 1
sources: { order: { databaseUrl: "postgres://127.0.0.1/orders" } }
sinks: { inventory: { kind: sqs, ${sink} } }
routes: { order: { source: order, sink: inventory } }`,
      {},
    ).value,
  );
}

function optionsOf(sink: string): unknown {
  const checked = check(sink);
  if (checked.kind === 'invalid') {
    return checked.problems.map(problemLine);
  }
  const defaults = { capture: 'polling', client: 'platformatic', retention: undefined } as const;
  return relayConfigOfFile(checked.file, defaults).sinks[0]?.options;
}

describe('queues of SQS as a sink', () => {
  it('are a template of their URLs', () => {
    expect(
      optionsOf(
        `queues: "${ROOT}/inventory-{topic}.fifo", region: eu-west-1, lanes: 8, payloads: { directory: /var/payloads }`,
      ),
    ).toEqual({
      connection: { region: 'eu-west-1' },
      queues: `${ROOT}/inventory-{topic}.fifo`,
      lanes: 8,
      payloads: expect.any(DirectoryPayloadStore) as unknown,
      drainMs: 500,
    });
  });

  it('are a URL per topic, at an endpoint of their own', () => {
    expect(optionsOf(`queues: { outbox.event.order: "${ROOT}/orders" }, endpoint: "http://127.0.0.1:4566"`)).toEqual({
      connection: { endpoint: 'http://127.0.0.1:4566' },
      queues: { 'outbox.event.order': `${ROOT}/orders` },
      drainMs: 500,
    });
  });

  const kinds = 'give FIFO queues only (their names end in .fifo), or standard queues only';
  const queues =
    'give the URL of a queue, with {topic} in its name for a queue per topic, or a mapping from topics to URLs';

  it.each([
    ['lanes: 1', [`queues: missing; ${queues}`]],
    ['queues: orders', [`queues: a text of 6 characters; ${queues}`]],
    [`queues: { a: "${ROOT}/a.fifo", b: "${ROOT}/b" }`, [`queues: a mapping; ${kinds}`]],
    ['queues: {}', [`queues: a mapping; ${kinds}`]],
    [
      `queues: { a: "${ROOT}/a", b: "http://127.0.0.1/1/b" }`,
      ['endpoint: missing; give the http(s) URL of the service, as the queues lie at different addresses'],
    ],
    [
      `queues: "${ROOT}/a", lanes: 0, endpoint: "ftp://h", accessKeyId: x`,
      [
        'endpoint: a text of 7 characters; give the http(s) URL of the service',
        'lanes: a whole number; give a whole number from 1 to 256',
        'accessKeyId: unknown key; known here: kind, queues, region, endpoint, lanes, payloads',
      ],
    ],
  ])('are refused with what to give instead: { %s }', (sink, lines) => {
    expect(optionsOf(sink)).toEqual(lines.map((line) => `sinks.inventory.${line}`));
  });
});
