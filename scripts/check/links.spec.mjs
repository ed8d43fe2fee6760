import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { checkLinks } from './links.mjs';

describe('the check of the links', () => {
  let root;
  let said;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-links-'));
    ['docs/adr', 'libs/relay', 'apps/order'].forEach((folder) => mkdirSync(join(root, folder), { recursive: true }));
    said = [];
    jest.spyOn(console, 'log').mockImplementation((line) => said.push(line));
  });

  afterEach(() => {
    jest.restoreAllMocks();
    rmSync(root, { recursive: true });
  });

  it('passes links to files, folders, headings and other sites, and what is code', () => {
    writeFileSync(join(root, 'README.md'), 'See [a](docs/A.md#part "A"), [docs](docs/), [there](https://b.example).\n');
    writeFileSync(
      join(root, 'docs', 'A.md'),
      '[up](../README.md) [here](#part) `[x](no.md)`\n\n```\n[y](no.md)\n```\n',
    );
    expect(checkLinks(root)).toBe(true);
    expect(said).toEqual([]);
  });

  it.each([
    ['README.md', '[a](docs/B.md)', 'docs/B.md'],
    ['CONTRIBUTING.md', 'one\n[a]: ./none.md\n', './none.md'],
    ['docs/adr/0001.md', 'a `code` and [a](../../none.md#part)', '../../none.md#part'],
    ['libs/relay/README.md', '[a](README.md) [b](none)', 'none'],
    ['apps/order/README.md', '```\ncode\n```\n[b](../none/)', '../none/'],
  ])('names a broken link of %s', (path, text, link) => {
    writeFileSync(join(root, path), text);
    expect(checkLinks(root)).toBe(false);
    expect(said).toEqual([`${path}: ${link} leads nowhere`]);
  });
});
