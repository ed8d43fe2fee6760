import { rmSync } from 'node:fs';
import { isPortFree, LocalKafka, LocalPostgres } from '@millrace/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../setup/command-error.mjs';
import { isKafkaFetched } from '../setup/prerequisites.mjs';
import { say } from './say.mjs';
import { needsPostgres, wantedPorts } from './settings.mjs';
import { Supervised } from './supervised.mjs';

const LEAVING_MS = 20_000;
const POLL_MS = 100;

/** Throws when a port that is needed is in use; servers of an earlier run that was killed get time to leave. */
export async function requirePorts(settings, hasPredecessor) {
  const deadline = performance.now() + (hasPredecessor ? LEAVING_MS : 0);
  for (const { who, port, variable } of wantedPorts(settings)) {
    while (!(await isPortFree(port))) {
      if (performance.now() >= deadline) {
        throw new CommandError(
          `Port ${port}, which ${who} needs, is in use: stop the program that has it, or set ${variable} to a free port.`,
        );
      }
      await sleep(POLL_MS);
    }
  }
}

/** The local servers that the settings ask for, not started yet. */
export function localServers(settings) {
  const { postgres, kafka } = settings;
  return {
    postgres: needsPostgres(settings)
      ? new LocalPostgres({ dataDir: postgres.dataDir, port: postgres.port })
      : undefined,
    kafka:
      kafka.brokers === undefined
        ? new LocalKafka({ dataDir: kafka.dataDir, port: kafka.port, controllerPort: kafka.controller.port })
        : undefined,
  };
}

/** Removes the data of the local servers. Servers that were there already are left as they are. */
export function removeData({ postgres, kafka }, settings) {
  if (postgres !== undefined) {
    rmSync(postgres.dataDir, { recursive: true, force: true });
    rmSync(postgres.logFile, { force: true });
  }
  if (kafka !== undefined) {
    rmSync(settings.kafka.dataDir, { recursive: true, force: true });
    rmSync(kafka.logFile, { force: true });
  }
  const left = [postgres ?? 'POSTGRES_ADMIN_URL', kafka ?? 'KAFKA_BROKERS'].filter((one) => typeof one === 'string');
  say(
    `Removed the local data.${left.length === 0 ? '' : ` The servers of ${left.join(' and ')} are left as they are.`}`,
  );
}

/** Starts both side by side; they are supervised from then on. */
export async function startServers({ postgres, kafka }, onStarting) {
  const starting = [];
  if (postgres !== undefined) {
    starting.push(startServer('PostgreSQL', postgres, onStarting));
  }
  if (kafka !== undefined) {
    if (!isKafkaFetched()) {
      say('Fetching Apache Kafka with Maven (54 MB, once) ...');
    }
    starting.push(startServer('Kafka', kafka, onStarting));
  }
  const ended = await Promise.allSettled(starting);
  const failed = ended.find(({ status }) => status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
}

async function startServer(title, server, onStarting) {
  const supervised = new Supervised(title, server);
  onStarting(title, supervised);
  const startedAt = performance.now();
  await supervised.start();
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  say(`${title} is up on 127.0.0.1:${server.port} after ${seconds} s (log: ${server.logFile})`);
}
