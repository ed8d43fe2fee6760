import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from './command-error.mjs';
import { LOCAL, ROOT } from './paths.mjs';

const OLDEST_NODE = 20;
const OLDEST_JAVA = 17;

/** Throws when the machine's own Node, which runs before the pinned one is installed, is too old. */
export function requireNode(version = process.versions.node) {
  if (Number(version.split('.')[0]) < OLDEST_NODE) {
    throw new CommandError(
      `Node ${version} is too old: install Node ${OLDEST_NODE} or later (https://nodejs.org) and run this again.`,
    );
  }
}

/** Throws when Apache Kafka cannot be run here: no Java 17, or no Maven to fetch it with; `instead` names the way out. */
export function requireJavaAndMaven(instead) {
  const home = process.env.JAVA_HOME;
  const inHome = home === undefined ? '' : join(home, 'bin', 'java');
  const java = spawnSync(existsSync(inHome) ? inHome : 'java', ['-version'], { encoding: 'utf8' });
  if (java.error !== undefined || java.status !== 0) {
    throw new CommandError(
      `Java was not found, and Apache Kafka needs it: install Java ${OLDEST_JAVA} or later, or ${instead}.`,
    );
  }
  const version = javaVersion(java.stderr);
  if (version < OLDEST_JAVA) {
    throw new CommandError(
      `Java ${version} is too old for Apache Kafka: install Java ${OLDEST_JAVA} or later (and point JAVA_HOME at it), or ${instead}.`,
    );
  }
  if (!isKafkaFetched() && spawnSync('mvn', ['-v'], { stdio: 'ignore' }).status !== 0) {
    throw new CommandError(
      `Maven (mvn) was not found, and Apache Kafka is fetched with it: install Maven 3.6 or later, or ${instead}.`,
    );
  }
}

/** The feature release in what `java -version` prints: 8 for 1.8.0, 17 for 17.0.15. */
export function javaVersion(text) {
  return Number(/version "(?:1\.)?(\d+)/.exec(text)?.[1] ?? 0);
}

/** Whether the Kafka that pom.xml names is in .local/kafka/lib, as libs/testing leaves it. */
export function isKafkaFetched() {
  const stamp = join(LOCAL, 'kafka', 'lib', '.pom-sha256');
  const wanted = createHash('sha256')
    .update(readFileSync(join(ROOT, 'pom.xml')))
    .digest('hex');
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}
