import { rmSync } from 'node:fs';
import { LocalKafka, LocalPostgres } from '@millrace/testing';
import { isKafkaFetched } from '../setup/prerequisites.mjs';
import { removalNote } from './removal-note.mjs';
import { say } from './say.mjs';
import { needsPostgres } from './settings.mjs';
import { Supervised } from './supervised.mjs';

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
  say(removalNote(settings));
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
