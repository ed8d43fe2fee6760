import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LocalServerError } from './testing.errors.js';

const OLDEST_JAVA = 17;

/** The java program: JAVA_HOME's, or that of the PATH; throws when there is none or it is older than 17. */
export function javaProgram(): string {
  // eslint-disable-next-line n/no-process-env -- where the machine's Java is
  const home = process.env['JAVA_HOME'];
  const inHome = home === undefined ? '' : join(home, 'bin', 'java');
  const program = existsSync(inHome) ? inHome : 'java';
  const answer = spawnSync(program, ['-version'], { encoding: 'utf8' });
  if (answer.error !== undefined) {
    throw new LocalServerError(
      'java_missing',
      `Java was not found: install Java ${OLDEST_JAVA} or later, or name a Kafka of your own in KAFKA_BROKERS.`,
      { cause: answer.error },
    );
  }
  const version = /version "(?:1\.)?(\d+)/.exec(answer.stderr)?.[1];
  if (Number(version) < OLDEST_JAVA) {
    throw new LocalServerError(
      'java_missing',
      `Java ${version ?? '?'} is too old for Apache Kafka: install Java ${OLDEST_JAVA} or later, or set JAVA_HOME to it.`,
    );
  }
  return program;
}
