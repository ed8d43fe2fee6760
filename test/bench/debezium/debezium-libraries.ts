import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

const VERSION = '3.6.0.Final';
const NAME = `debezium-server-dist-${VERSION}`;
/** Of the archive, 745 MiB. */
const SHA256 = '901ce7b0b75b4dafaac4aa57dac6dfcad5937f96fb7159e25d22759bbf5192e4';
/** The archive's parent is not published, which later versions do not put up with. */
const MAVEN_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:2.8';
const OLDEST_JAVA = 21;
const LOCAL = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..', '.local', 'debezium');
const HOME = join(LOCAL, VERSION, 'debezium-server');
const FETCH_MS = 30 * 60_000;
const JVMS = '/usr/lib/jvm';

/** Fetches what is needed, so that what is missing is told before anything is started. */
export async function requireDebezium(): Promise<void> {
  javaForDebezium();
  await debeziumClassPath();
}

/** The Java class path of Debezium Server, without its configuration; fetched with Maven into `.local/debezium` once. */
export async function debeziumClassPath(): Promise<string> {
  if (!existsSync(HOME)) {
    await fetchDebezium();
  }
  return [join(HOME, `${NAME}-runner.jar`), join(HOME, 'lib', '*')].join(':');
}

/** A java program that is new enough: JAVA_HOME's, that of the PATH, or one that the system has beside it. */
export function javaForDebezium(): string {
  const homes = [process.env['JAVA_HOME'] ?? '', ...installedHomes()].filter((home) => home !== '');
  const programs = ['java', ...homes.map((home) => join(home, 'bin', 'java'))];
  const program = programs.find((each) => majorOf(each) >= OLDEST_JAVA);
  if (program === undefined) {
    throw new Error(
      `Debezium Server ${VERSION} needs Java ${OLDEST_JAVA} or later: install one, or set JAVA_HOME to it.`,
    );
  }
  return program;
}

/** Unpacked beside its place and then moved there, so that what is there is whole. */
async function fetchDebezium(): Promise<void> {
  const unfinished = join(LOCAL, `fetching-${process.pid}`);
  mkdirSync(unfinished, { recursive: true });
  try {
    const artifact = `-Dartifact=io.debezium:debezium-server-dist:${VERSION}:tar.gz`;
    run('mvn', ['-q', '-B', `${MAVEN_PLUGIN}:copy`, artifact, `-DoutputDirectory=${unfinished}`]);
    const archive = join(unfinished, `${NAME}.tar.gz`);
    await requireChecksum(archive);
    run('tar', ['-xzf', archive, '-C', unfinished]);
    rmSync(archive);
    mkdirSync(dirname(HOME), { recursive: true });
    renameSync(join(unfinished, 'debezium-server'), HOME);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

async function requireChecksum(file: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const found = hash.digest('hex');
  if (found !== SHA256) {
    throw new Error(
      `The archive of Debezium Server ${VERSION} has SHA-256 ${found} instead of ${SHA256}: it is not unpacked.`,
    );
  }
}

function run(command: string, args: readonly string[]): void {
  const answer = spawnSync(command, args, { encoding: 'utf8', timeout: FETCH_MS });
  if (answer.status !== 0) {
    const why = answer.error?.message ?? `${answer.stdout}${answer.stderr}`.slice(0, 600);
    throw new Error(`Debezium Server ${VERSION} could not be fetched by ${command}: ${why}`);
  }
}

function installedHomes(): string[] {
  return existsSync(JVMS) ? readdirSync(JVMS).map((name) => join(JVMS, name)) : [];
}

function majorOf(program: string): number {
  const answer = spawnSync(program, ['-version'], { encoding: 'utf8' });
  return Number(/version "(\d+)/.exec(answer.stderr)?.[1] ?? 0);
}
