import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { leash } from './leash.js';
import { isProcessAlive } from './process-tree.js';
import { LocalServerError } from './testing.errors.js';

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const POM = join(REPOSITORY, 'pom.xml');
const KAFKA_DIR = join(REPOSITORY, '.local', 'kafka');
const LIBRARIES = join(KAFKA_DIR, 'lib');
const STAMP = join(LIBRARIES, '.pom-sha256');
const LOCK = join(KAFKA_DIR, 'lib.lock');
const LOCK_WAIT_MS = 10 * 60_000;

/**
 * The Java class path of the Apache Kafka that pom.xml names, fetched with Maven into `.local/kafka/lib` if it is not
 * there or pom.xml has changed since. Several processes may ask at once: one fetches, the others wait for it.
 */
export async function kafkaClassPath(): Promise<string> {
  const wanted = createHash('sha256').update(readFileSync(POM)).digest('hex');
  if (!isFetched(wanted)) {
    await withLock(async () => {
      if (!isFetched(wanted)) {
        await fetchLibraries(wanted);
      }
    });
  }
  return join(LIBRARIES, '*');
}

function isFetched(wanted: string): boolean {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted;
}

async function fetchLibraries(pomHash: string): Promise<void> {
  const unfinished = join(KAFKA_DIR, `lib.${process.pid}`);
  rmSync(unfinished, { recursive: true, force: true });
  try {
    await runMaven(unfinished);
    writeFileSync(join(unfinished, '.pom-sha256'), pomHash);
    rmSync(LIBRARIES, { recursive: true, force: true });
    renameSync(unfinished, LIBRARIES);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

async function runMaven(outputDirectory: string): Promise<void> {
  const args = ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', '-DincludeScope=runtime'];
  const maven = spawn('mvn', [...args, `-DoutputDirectory=${outputDirectory}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  maven.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  maven.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const status = await new Promise<number | null>((resolve, reject) => {
    maven.once('error', (cause) => {
      const message =
        'Maven (mvn) is not installed or not on the PATH: install Maven 3.6 or later, ' +
        'or name a Kafka of your own in KAFKA_BROKERS.';
      reject(new LocalServerError('maven_missing', message, { cause }));
    });
    maven.once('spawn', () => {
      const held = leash({ pid: maven.pid ?? 0, signal: 'SIGTERM', removeAfter: outputDirectory });
      maven.once('exit', () => {
        held.release();
      });
    });
    maven.once('close', resolve);
  });
  if (status !== 0) {
    const reason =
      stripVTControlCharacters(output.join(''))
        .split('\n')
        .find((line) => line.includes('ERROR')) ?? 'it said nothing';
    throw new LocalServerError(
      'maven_failed',
      'Maven could not fetch Apache Kafka (54 MB, once): check the network and the mirrors in ~/.m2/settings.xml, ' +
        `or name a Kafka of your own in KAFKA_BROKERS. Maven said: ${reason.slice(0, 600)}`,
    );
  }
}

async function withLock(work: () => Promise<void>): Promise<void> {
  mkdirSync(KAFKA_DIR, { recursive: true });
  const deadline = performance.now() + LOCK_WAIT_MS;
  while (!tryLock()) {
    if (performance.now() > deadline) {
      throw new LocalServerError('maven_failed', `Another process has been fetching Kafka for long: remove ${LOCK}.`);
    }
    await sleep(200);
  }
  try {
    await work();
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function tryLock(): boolean {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) {
      throw error;
    }
  }
  if (!isProcessAlive(lockHolder())) {
    rmSync(LOCK, { force: true });
  }
  return false;
}

function lockHolder(): number {
  try {
    return Number(readFileSync(LOCK, 'utf8')) || process.pid;
  } catch {
    return process.pid; // it was released in this moment: try again
  }
}
