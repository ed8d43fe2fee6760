import { LocalServerError } from './testing.errors.js';

/** By these the test run passes its servers to the specs; set by hand, they name servers that are there. */
const TEST_POSTGRES_URL = 'MILLRACE_TEST_POSTGRES_URL';
const TEST_KAFKA_BROKERS = 'MILLRACE_TEST_KAFKA_BROKERS';

/** The superuser's URL of the run's PostgreSQL. Throws when the run has none. */
export function testPostgresUrl(): string {
  return required(TEST_POSTGRES_URL);
}

/** The addresses of the run's Kafka. Throws when the run has none. */
export function testKafkaBrokers(): string[] {
  return required(TEST_KAFKA_BROKERS)
    .split(',')
    .map((broker) => broker.trim());
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    const message = `${name} is not set: the servers are started for *.int-spec.ts and *.e2e-spec.ts run by jest alone.`;
    throw new LocalServerError('not_configured', message);
  }
  return value;
}
