import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leash } from '@millrace/testing';
import { BOTH_MODES, type CaptureRow } from '../capture-row.js';
import { RowSkipped } from '../findings.js';
import { type RowWorld } from '../row-world.js';
import { floodWal } from '../slots.js';

const DISK_MIB = 160;
const FULL_MS = 5_000;
const TRACED_MS = 1_000;
const CRASHED = /PANIC/g;

/** The server's WAL gets a small disk of its own, which is filled by somebody else's file. */
export const WAL_DISK_FULL: CaptureRow = {
  id: '22',
  title: "the WAL's disk full, then freed",
  modes: BOTH_MODES,
  postgresSettings: { min_wal_size: '32MB', max_wal_size: '48MB' },
  async run(world) {
    const disk = await moveWalToDisk(world);
    await world.begin();
    const mark = world.logMark();
    const ballast = join(disk, 'ballast');
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize, 1));
    await floodWal(world, DISK_MIB).catch(() => undefined);
    await sleep(FULL_MS);
    await world.tells(/route stalled/, mark);
    rmSync(ballast);
    world.note(`${panics(world)} PANICs, the server ${world.postgres.isRunning ? 'came back by itself' : 'had ended'}`);
    if (panics(world) === 0) {
      world.found('unmet', 'the server did not run out of disk');
    }
    await world.postgres.start();
    await world.recovers('the disk was freed');
    await world.streams();
  },
};

async function moveWalToDisk(world: RowWorld): Promise<string> {
  const disk = join(world.folder, 'wal-disk');
  mkdirSync(disk);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', disk], { encoding: 'utf8' });
  if (mounted.status !== 0) {
    throw new RowSkipped(`a tmpfs cannot be mounted here: ${mounted.stderr.trim()}`);
  }
  await world.postgres.stop('fast');
  world.atEnd(async () => {
    await world.postgres.stop('immediate');
    execFileSync('umount', [disk]);
  });
  const wal = join(world.postgres.dataDir, 'pg_wal');
  execFileSync('cp', ['-a', wal, join(disk, 'pg_wal')]);
  rmSync(wal, { recursive: true });
  execFileSync('ln', ['-s', join(disk, 'pg_wal'), wal]);
  await world.postgres.start();
  return disk;
}

/** A disk that fails to sync: PostgreSQL does not know then what is stored, gives up, and recovers from its WAL. */
export const SYNC_FAILS: CaptureRow = {
  id: '23',
  title: 'fdatasync fails with EIO: PANIC and crash recovery',
  modes: BOTH_MODES,
  unable() {
    return spawnSync('strace', ['--version']).status === 0 ? undefined : 'strace is not installed';
  },
  async run(world) {
    await world.begin();
    const mark = world.logMark();
    await failSyncs(world);
    if (!(await world.holds(FULL_MS, async () => Promise.resolve(panics(world) > 0)))) {
      world.found('unmet', 'no fdatasync failed');
    }
    world.note(`${panics(world)} PANICs`);
    await world.postgres.start();
    await world.recovers('the PANIC');
    await world.tells(/route stalled/, mark);
    await world.streams();
  },
};

/** Every process of the server has its syncs fail for a moment. */
async function failSyncs(world: RowWorld): Promise<void> {
  const family = [world.postgres.pid, ...childrenOf(world.postgres.pid)];
  const tracer = spawn(
    'strace',
    [
      ...['-f', '-o', join(world.folder, 'strace'), '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO'],
      ...family.flatMap((pid) => ['-p', String(pid)]),
    ],
    { stdio: 'ignore' },
  );
  const held = leash({ pid: tracer.pid ?? 0, signal: 'SIGTERM' });
  const ended = new Promise((resolve) => {
    tracer.once('exit', resolve);
  });
  await world.holds(FULL_MS, async () => Promise.resolve(panics(world) > 0 || tracer.exitCode !== null));
  await sleep(TRACED_MS);
  if (tracer.exitCode !== null && panics(world) === 0) {
    throw new RowSkipped(`strace cannot trace here: it ended with ${tracer.exitCode}`);
  }
  tracer.kill('SIGTERM');
  await ended;
  held.release();
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false; // it ended between the listing and the reading
      }
    });
}

function panics(world: RowWorld): number {
  return readFileSync(world.postgres.logFile, 'utf8').match(CRASHED)?.length ?? 0;
}
