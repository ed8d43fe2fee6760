import { accessSync, constants, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { run } from './program.js';
import { VERSION } from './version.js';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function millrace(...args: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const code = await run(args, { out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

/** Refused before anything is connected. */
function inbox(...args: string[]): string[] {
  return ['inbox', ...args, '--consumer', 'stock', '-d', 'postgres://u:geheim@127.0.0.1:1/d'];
}

function parked(...args: string[]): string[] {
  return ['parked', ...args, '--route', 'r', '-d', 'postgres://u:geheim@127.0.0.1:1/d'];
}

const PACKAGE = new URL('../package.json', import.meta.url);
const packageJson: unknown = JSON.parse(readFileSync(PACKAGE, 'utf8'));

describe('millrace', () => {
  it('prints the version of its package', async () => {
    expect(await millrace('--version')).toEqual({ code: 0, out: `${VERSION}\n`, err: '' });
    expect(packageJson).toMatchObject({ version: VERSION });
  });

  it('is installed under its name', () => {
    expect(packageJson).toMatchObject({ bin: { millrace: 'millrace.mjs' } });
    expect(() => {
      accessSync(new URL('millrace.mjs', PACKAGE), constants.X_OK);
    }).not.toThrow();
  });

  it('tells its commands, the order of arguments and the exit codes', async () => {
    const { code, out } = await millrace('--help');

    expect(code).toBe(0);
    expect(out).toMatch(/migrate \[options\]/);
    expect(out).toMatch(/A command comes first, then its options/);
    expect(out).toMatch(/Exit codes: 0 done; 1 /);
  });

  it('tells the options of a command', async () => {
    const { code, out } = await millrace('migrate', '--help');

    expect(code).toBe(0);
    expect(out).toMatch(/--database-url <url>.*\(env:\s+DATABASE_URL\)/s);
    expect(out).toMatch(/--ahead <leaves>.*\(default: 10\)/s);
    expect(out).toMatch(/--header <column\[:name\]>.*\(default:\s+none\)/s);
  });

  it.each([
    [[], /^Usage: millrace/],
    [['migrat'], /^error: unknown command 'migrat'/],
    [['bogus', '--help'], /^error: unknown command 'bogus'/],
    [['inbox', 'bogus', '-h'], /^error: unknown command 'bogus'/],
    [['migrate', '--databse-url', 'x'], /^error: unknown option '--databse-url'/],
    [['migrate', '--ahead', '0'], /^error: option '--ahead <leaves>' argument '0' is invalid\. Give a whole number/],
    [['migrate', '--ahead', '1e2'], /is invalid\. Give a whole number from 1 to 1000/],
    [['migrate', '--event-key', 'customer'], /^error: --existing, .* go with --adopt <schema\.table>/],
    [['migrate', '--dry-run'], /^error: --existing, .* --dry-run go with --adopt <schema\.table>/],
    [
      ['migrate', '--adopt', 'a.b', '--existing', 'move'],
      /argument 'move' is invalid\. Allowed choices are skip, copy/,
    ],
    [['migrate', '--adopt', 'a.b', '--existing', 'copy'], /^error: --existing copy needs --order-by <column>/],
    [['migrate', '--adopt', 'a.b', '--order-by', 'at'], /^error: --order-by goes with --existing copy/],
    [['migrate', '--adopt', 'a.b', '--release', 'a.b'], /^error: Give --adopt or --release, not both/],
    [['migrate', '--adopt', 'a.b', '--print', '--dry-run'], /^error: Give --dry-run or --print, not both/],
    [['migrate', '--adopt', 'a.b', '--header', ':x'], /is invalid\. Give column, column:name or column:header:name/],
    [['migrate', '--adopt', 'a.b', '--lock-wait', '0'], /is invalid\. Give a whole number from 1 to 60000/],
    [['migrate', '--adopt', 'a.b', '--print'], /^error: Name the database/],
    [['migrate', 'postgres://u:geheim@h/d'], /^error: too many arguments/],
    [['migrate', '--url=postgres://u:geheim@h/d'], /^error: unknown option '--url=postgres:\/\/u:\*\*\*@h\/d'/],
    [['migrate', '--database-url', 'mysql://u:geheim@h/d'], /^error: The database URL must have the form postgres:/],
    [['inbox', 'parked', '--consumer', 'stock'], /^error: Name the database: millrace inbox parked --database-url URL/],
    [['inbox', 'parked', '-d', 'postgres://h/d'], /^error: required option '--consumer <name>' not specified/],
    [['retention', 'status'], /^error: Name the database: millrace retention status --database-url URL/],
    [['retention', 'status', '--keep', 'week'], /argument 'week' is invalid\. Give a time such as 7d/],
    [['retention', 'let-go-on', '--route', 'r'], /^error: required option '--reason <text>' not specified/],
    [['retention', 'accept-count', '--dry-run'], /^error: required option '--leaf <position>' not specified/],
    [['retention', 'accept-count', '--leaf', 'p1'], /is invalid\. Give the first position of a leaf/],
    [
      ['retention', 'accept-count', '--leaf', '1', '--rows', '3', '-d', 'postgres://u:geheim@127.0.0.1:1/d'],
      /^error: Look first with --dry-run, then give --rows/,
    ],
    [['parked', 'list', '--route', 'r'], /^error: Name the database: millrace parked list --database-url URL/],
    [['held-keys', 'list', '-d', 'postgres://h/d'], /^error: required option '--route <route>' not specified/],
    [parked('list', '--state', 'gone'), /is invalid\. Allowed choices are held, parked, skipped/],
    [parked('list', '--limit', '0'), /is invalid\. Give a whole number from 1 to 1000/],
    [parked('list', '--after', 'x'), /is invalid\. Give a position, a whole number/],
    [parked('retry'), /^error: Name the events: --id, .* or give --all/],
    [parked('retry', '--all', '--code', 'x'), /^error: Name the events: --id, .* or give --all/],
    [parked('retry', '--aggregate-id', 'a'), /^error: A key is --aggregate-type and --aggregate-id: give both/],
    [parked('retry', '--id', '7'), /is invalid\. Give the id of an event, a UUID/],
    [parked('discard', '--all'), /^error: Look first with --dry-run, then give --confirm/],
    [parked('discard', '--all', '--confirm', '3'), /^error: Look first with --dry-run, .* and --reason/],
    [inbox('parked', '--since', 'noon'), /is invalid\. Give a time such as 2026-11-21T10:00:00Z/],
    [inbox('parked', '--attempts', '-1'), /is invalid\. Give a whole number/],
    [inbox('retry'), /^error: Name the chains: --key, --code, --topic or --id, or give --all/],
    [inbox('discard', '--key', 'k'), /^error: required option '--reason <text>' not specified/],
    [inbox('discard', '--reason', 'r'), /^error: Name the events to discard: by id, key or code/],
    [inbox('discard', '--reason', 'r', '--id', '7'), /^error: The id must be an event's UUID/],
    [inbox('thaw', '--topic', 't', '--reason', 'r'), /^error: required option '--partition <number>'/],
    [
      ['inbox', 'parked', '--consumer', 'c', '-d', 'mysql://u:geheim@h/d'],
      /^error: The database URL must have the form postgres:/,
    ],
  ])('explains the wrong arguments %j with exit code 2 and no password', async (args, message) => {
    const { code, out, err } = await millrace(...args);

    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
    expect(err).not.toMatch(/geheim|\n +at /);
  });
});
