import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { LocalPostgres, type LocalPostgresOptions } from './local-postgres.js';
import { LocalServerError } from './testing.errors.js';

/** What a standby has of its own, and must not take from the primary. */
const NOT_COPIED = ['postmaster.pid', 'postmaster.opts', 'pg_wal/*', 'pg_replslot/*', 'pg_stat_tmp/*'];

const POLL_MS = 20;
const TIMEOUT_MS = 60_000;

/**
 * An asynchronous hot standby of a `LocalPostgres`, with its data in a temporary folder: follows the primary until it is
 * cut off or promoted. It has the primary's system identifier, and a timeline of its own from the promotion on.
 */
export class PostgresStandby extends LocalPostgres {
  private constructor(
    private readonly folder: string,
    settings: LocalPostgresOptions['settings'],
  ) {
    super({ dataDir: join(folder, 'data'), settings, temporaryDir: folder });
  }

  /** Copies the primary, which goes on meanwhile, and starts. */
  static async of(primary: LocalPostgres, settings: LocalPostgresOptions['settings'] = {}): Promise<PostgresStandby> {
    const standby = new PostgresStandby(mkdtempSync(join(tmpdir(), 'millrace-standby-')), settings);
    await withClient(primary.adminUrl, async (client) => {
      await client.query(`select pg_backup_start('standby', true)`);
      copyData(primary.dataDir, standby.dataDir);
      const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)');
      writeFileSync(join(standby.dataDir, 'backup_label'), rows[0]?.labelfile ?? '');
    });
    const conninfo = `host=127.0.0.1 port=${primary.port} user=postgres application_name=standby`;
    writeFileSync(join(standby.dataDir, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
    writeFileSync(join(standby.dataDir, 'standby.signal'), '');
    ownAs(primary.dataDir, standby.dataDir);
    await standby.start();
    return standby;
  }

  /** Resolves when everything that was committed on the primary by now is replayed here. */
  async caughtUp(primary: LocalPostgres): Promise<void> {
    // commits that do not wait for the disk are sent on once a later one has
    await withClient(primary.adminUrl, async (client) => {
      await client.query(`set synchronous_commit = local; select pg_logical_emit_message(true, 'standby', '')`);
    });
    const lsn = await one(primary.adminUrl, 'select pg_current_wal_flush_lsn()::text as answer');
    await this.until(
      'the standby has replayed what the primary had',
      `select pg_last_wal_replay_lsn() >= '${lsn}' as answer`,
    );
  }

  /** From now on nothing comes from the primary: a promotion will lack what it commits. */
  async cutOff(): Promise<void> {
    await withClient(this.adminUrl, async (client) => {
      await client.query(`alter system set primary_conninfo = ''`);
      await client.query('select pg_reload_conf()');
    });
    await this.until(
      'the standby receives nothing any more',
      'select not exists (select from pg_stat_wal_receiver) as answer',
    );
  }

  /** Resolves when the standby is a primary. End the old one first, or cut this one off. */
  async promote(): Promise<void> {
    await one(this.adminUrl, 'select pg_promote(true, 60) as answer');
    await this.until('the standby is a primary', 'select not pg_is_in_recovery() as answer');
  }

  /** Stops the server at once, whatever is connected to it, and removes its data. */
  async remove(): Promise<void> {
    await this.stop('immediate');
    await rm(this.folder, { recursive: true, force: true });
    await rm(this.dataDir, { recursive: true, force: true });
  }

  private async until(what: string, question: string): Promise<void> {
    for (const deadline = performance.now() + TIMEOUT_MS; performance.now() < deadline;) {
      if ((await one(this.adminUrl, question)) === 'true') {
        return;
      }
      await sleep(POLL_MS);
    }
    throw new LocalServerError('server_failed', `After ${TIMEOUT_MS / 1_000} s it does not hold that ${what}.`);
  }
}

/** Files may change, grow and vanish while they are copied: the WAL from the start of the backup on makes them whole. */
function copyData(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  const excluded = NOT_COPIED.map((path) => `--exclude=./${path}`);
  const script =
    'mkdir -m 700 "$2" && tar -C "$1" --warning=no-file-changed --ignore-failed-read -cf - "${@:3}" . | tar -C "$2" -xpf -';
  const answer = spawnSync('/bin/bash', ['-c', script, 'bash', from, to, ...excluded], { encoding: 'utf8' });
  if (answer.status !== 0) {
    throw new LocalServerError('server_failed', `The data of the primary could not be copied: ${answer.stderr}`);
  }
}

function ownAs(reference: string, target: string): void {
  spawnSync('chown', ['-R', `--reference=${reference}`, target]);
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'millrace testing' });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function one(url: string, question: string): Promise<string> {
  let answer = '';
  await withClient(url, async (client) => {
    const { rows } = await client.query<{ answer: unknown }>(question);
    answer = String(rows[0]?.answer);
  });
  return answer;
}
