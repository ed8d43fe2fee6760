import { rmSync } from 'node:fs';
import { LocalKafka, LocalPostgres } from '@millrace/testing';
import { isKafkaFetched } from '../setup/prerequisites.mjs';
import { removalNote } from './removal-note.mjs';
import { say } from './say.mjs';
import { needsKafka, needsPostgres } from './settings.mjs';

/** The local servers that the settings ask for, not started yet. */
export function localServers(settings) {
  const { postgres, kafka } = settings;
  return {
    postgres: needsPostgres(settings)
      ? new LocalPostgres({ dataDir: postgres.dataDir, port: postgres.port })
      : undefined,
    kafka: needsKafka(settings)
      ? new LocalKafka({
          dataDir: kafka.dataDir,
          port: kafka.port,
          controllerPort: kafka.controller.port,
          isQuickStart: true,
        })
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

/** Starts one, supervised from then on; `supervise` makes the supervisor and is told before anything runs. */
export async function startServer(title, server, supervise) {
  const supervised = supervise(title, server);
  const startedAt = performance.now();
  await supervised.start();
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  say(`${title} is up on 127.0.0.1:${server.port} after ${seconds} s (log: ${server.logFile})`);
}

/** Starts Kafka, which is fetched when it is not here yet. */
export async function startKafka(kafka, supervise) {
  if (!isKafkaFetched()) {
    say('Fetching Apache Kafka with Maven (54 MB, once) ...');
  }
  await startServer('Kafka', kafka, supervise);
}
