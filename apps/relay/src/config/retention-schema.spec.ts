import { describe, expect, it } from '@jest/globals';
import { readEnvironment, StartError } from '@millrace/http';
import { z } from 'zod';
import { checkConfig } from './config-check.js';
import { readConfigDocument } from './config-document.js';
import { problemLine } from './config-problem.js';
import { RETENTION_RULES, RETENTION_VARIABLES, retentionOfEnvironment } from './retention-schema.js';
import { relayConfigOfFile } from './to-relay-config.js';

const DAY_MS = 86_400_000;

const textOf = (retention: string): string => `
version: 1
sources:
  order: { databaseUrl: postgres://127.0.0.1/orders, retention: ${retention} }
  stock: { databaseUrl: postgres://127.0.0.1/stock }
sinks: { main: { kind: kafka, brokers: "127.0.0.1:9092", topics: { create: false } } }
routes: { order: { source: order, sink: main } }`;

function linesFor(retention: string): readonly string[] {
  const check = checkConfig(readConfigDocument(textOf(retention), {}).value);
  return check.kind === 'valid' ? [] : check.problems.map(problemLine);
}

function environment(more: Readonly<Record<string, string>>): unknown {
  try {
    return retentionOfEnvironment(readEnvironment(z.object(RETENTION_VARIABLES), more, RETENTION_RULES));
  } catch (error) {
    return error instanceof StartError ? error.problems : error;
  }
}

describe('retention of a source in the file', () => {
  it('is taken in units that one reads, and where there is none the environment is asked', () => {
    const check = checkConfig(
      readConfigDocument(textOf('{ keep: 7d, maxAge: 30d, maxBytes: 10GiB, archive: { directory: /var/archive } }'), {})
        .value,
    );
    const retention = { policy: { keepMs: DAY_MS, maxAgeMs: null, maxBytes: null }, archiveDirectory: null };
    const { sources } =
      check.kind === 'valid'
        ? relayConfigOfFile(check.file, { capture: 'polling', client: 'kafkajs', retention })
        : { sources: [] };
    expect(sources.map((source) => source.retention)).toEqual([
      {
        policy: { keepMs: 7 * DAY_MS, maxAgeMs: 30 * DAY_MS, maxBytes: 10 * 1024 ** 3 },
        archiveDirectory: '/var/archive',
      },
      retention,
    ]);
  });

  it.each([
    ['7d', /^sources.order.retention: a text of 2 characters; give a mapping with: keep, maxAge, maxBytes, archive$/],
    ['{}', /^sources.order.retention.keep: missing; give a time such as 7d, 12h, 30m or 45s$/],
    ['{ keep: 7 }', /^sources.order.retention.keep: a whole number; give a time such as 7d/],
    ['{ keep: 7 days }', /^sources.order.retention.keep: a text of 6 characters; give a time such as 7d/],
    ['{ keep: 7d, maxBytes: 10GB }', /^sources.order.retention.maxBytes: a text of 4 characters; give a size such as/],
    ['{ keep: 7d, maxBytes: 0B }', /^sources.order.retention.maxBytes: a text of 2 characters; give a size such as/],
    [
      '{ keep: 7d, maxAge: 1d }',
      /^sources.order.retention.maxAge: a text of 2 characters; maxAge must not be below keep/,
    ],
    [
      '{ keep: 7d, archive: /var }',
      /^sources.order.retention.archive: a text of 4 characters; give a mapping with: dir/,
    ],
    ['{ keep: 7d, limit: 1 }', /^sources.order.retention.limit: unknown key; known here: keep, maxAge, maxBytes, arch/],
  ])('%s is refused by its path', (retention, line) => {
    expect(linesFor(retention)).toEqual([expect.stringMatching(line)]);
  });
});

describe('retention in the environment', () => {
  it('is the same in variables, and none without a time to keep', () => {
    expect(environment({})).toBeUndefined();
    expect(environment({ MILLRACE_RETENTION_KEEP: '7d' })).toEqual({
      policy: { keepMs: 7 * DAY_MS, maxAgeMs: null, maxBytes: null },
      archiveDirectory: null,
    });
    expect(
      environment({
        MILLRACE_RETENTION_KEEP: '0s',
        MILLRACE_RETENTION_MAX_AGE: '30d',
        MILLRACE_RETENTION_MAX_BYTES: '1TiB',
        MILLRACE_RETENTION_ARCHIVE_DIR: '/var/archive',
      }),
    ).toEqual({
      policy: { keepMs: 0, maxAgeMs: 30 * DAY_MS, maxBytes: 1024 ** 4 },
      archiveDirectory: '/var/archive',
    });
  });

  it.each([
    [{ MILLRACE_RETENTION_KEEP: '200000d' }, /^MILLRACE_RETENTION_KEEP is not valid: keep must be a time from 0 ms to/],
    [{ MILLRACE_RETENTION_KEEP: 'week' }, /^MILLRACE_RETENTION_KEEP is not valid: give a time such as 7d/],
    [
      { MILLRACE_RETENTION_MAX_AGE: '7d', MILLRACE_RETENTION_ARCHIVE_DIR: '/a' },
      /^MILLRACE_RETENTION_KEEP is not set, so rows are kept for ever: .*, or remove MILLRACE_RETENTION_MAX_AGE, MILL/,
    ],
    [
      { MILLRACE_RETENTION_KEEP: '7d', MILLRACE_RETENTION_MAX_AGE: '1h' },
      /^MILLRACE_RETENTION_MAX_AGE is below MILLRACE_RETENTION_KEEP/,
    ],
    [
      { MILLRACE_RETENTION_KEEP: '7d', MILLRACE_RETENTION_MAX_BYTES: '5' },
      /^MILLRACE_RETENTION_MAX_BYTES is not valid: give a size such as 10GiB/,
    ],
  ])('%j is refused by its name', (variables, line) => {
    expect(environment(variables)).toEqual([expect.stringMatching(line)]);
  });
});
