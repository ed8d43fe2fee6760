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
  const obstacle = kafkaObstacle();
  if (obstacle !== undefined) {
    throw new CommandError(`${obstacle.problem}: ${obstacle.remedy}, or ${instead}.`);
  }
}

/** Why Apache Kafka cannot be run on this machine, and what would help; `undefined` when it can. */
export function kafkaObstacle() {
  const home = process.env.JAVA_HOME;
  const inHome = home === undefined ? '' : join(home, 'bin', 'java');
  const java = spawnSync(existsSync(inHome) ? inHome : 'java', ['-version'], { encoding: 'utf8' });
  if (java.error !== undefined || java.status !== 0) {
    return {
      problem: 'Java was not found, and Apache Kafka needs it',
      remedy: `install Java ${OLDEST_JAVA} or later`,
    };
  }
  const version = javaVersion(java.stderr);
  if (version < OLDEST_JAVA) {
    return {
      problem: `Java ${version} is too old for Apache Kafka`,
      remedy: `install Java ${OLDEST_JAVA} or later (and point JAVA_HOME at it)`,
    };
  }
  if (!isKafkaFetched() && spawnSync('mvn', ['-v'], { stdio: 'ignore' }).status !== 0) {
    return {
      problem: 'Maven (mvn) was not found, and Apache Kafka is fetched with it',
      remedy: 'install Maven 3.6 or later',
    };
  }
  return undefined;
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
