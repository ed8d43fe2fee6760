import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const PROGRAM = fileURLToPath(new URL('../millrace.mjs', import.meta.url));
const OLD_NODE = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.1.0" } });';

describe('the installed program', () => {
  let workspace: string;
  let copy: string;

  beforeEach(async () => {
    workspace = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
    copy = join(workspace, 'apps', 'cli', 'millrace.mjs');
    await mkdir(join(workspace, 'apps', 'cli'), { recursive: true });
    await copyFile(PROGRAM, copy);
  });

  afterEach(async () => {
    await rm(workspace, { recursive: true });
  });

  async function start(...nodeOptions: string[]): Promise<{ readonly code: unknown; readonly err: string }> {
    const child = spawn(process.execPath, [...nodeOptions, copy, '--version'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let err = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => (err += part));
    const closed: unknown[] = await once(child, 'close');
    return { code: closed[0], err };
  }

  it('says in one sentence that it is not built', async () => {
    expect(await start()).toEqual({ code: 1, err: 'Millrace is not built yet: run npm run build\n' });
  });

  it('says in one sentence that Node is too old', async () => {
    expect(await start('--import', `data:text/javascript,${encodeURIComponent(OLD_NODE)}`)).toEqual({
      code: 1,
      err: 'Millrace needs Node 22 or later, and this is 20.1.0: use a newer one\n',
    });
  });
});
