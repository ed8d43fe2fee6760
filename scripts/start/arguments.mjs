import { CommandError } from '../setup/command-error.mjs';

export const HELP = `npm start [-- --fresh] [-- --no-kafka]

Starts PostgreSQL, Apache Kafka, the relay and the services on this machine, and stops them at Ctrl-C.

  --fresh               first removes the data of the local PostgreSQL and Kafka (.local)
  --no-kafka            starts no Kafka: the relay delivers events straight into the databases of the services, as it
                        does by itself where there is neither Java 17 nor KAFKA_BROKERS

  POSTGRES_ADMIN_URL    uses this server (its user must be allowed to create databases) instead of the local one
  KAFKA_BROKERS         uses these brokers (host:port, comma separated) instead of the local one
  ORDER_DATABASE_URL, INVENTORY_DATABASE_URL, PAYMENT_DATABASE_URL
                        use this database, which must exist, for the service
  RELAY_PORT (3000), ORDER_PORT (3001), INVENTORY_PORT (3002), PAYMENT_PORT (3003),
  POSTGRES_PORT (54320), KAFKA_PORT (9092), KAFKA_CONTROLLER_PORT (9093)
  LOG_LEVEL             of the relay and the services: info (default), debug, warn ...`;

/** What `npm start -- ...` was told. */
export function parseArguments(given) {
  const unknown = given.find((argument) => !['--fresh', '--no-kafka', '--help', '-h'].includes(argument));
  if (unknown !== undefined) {
    throw new CommandError(
      `npm start does not know ${unknown}: give --fresh, --no-kafka or nothing (npm start -- --help).`,
    );
  }
  return {
    isFresh: given.includes('--fresh'),
    isHelp: given.includes('--help') || given.includes('-h'),
    isWithoutKafka: given.includes('--no-kafka'),
  };
}
