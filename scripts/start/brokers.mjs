import { connect } from 'node:net';
import { CommandError } from '../setup/command-error.mjs';

const TIMEOUT_MS = 5_000;

/** Throws, within seconds, when none of the brokers (host:port, separated by commas) takes a connection. */
export async function requireBrokers(brokers, timeoutMs = TIMEOUT_MS) {
  const answers = await Promise.all(brokers.split(',').map(async (broker) => answerOf(broker, timeoutMs)));
  if (!answers.includes('connected')) {
    throw new CommandError(
      `KAFKA_BROKERS: none of ${brokers} answers (${[...new Set(answers)].join(', ')}): ` +
        'check host and port, or leave it out for a local Kafka.',
    );
  }
}

async function answerOf(broker, timeoutMs) {
  const [host, port] = broker.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    const timer = setTimeout(() => end(`nothing within ${timeoutMs / 1_000} s`), timeoutMs);
    const end = (answer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end('connected'));
    socket.once('error', (error) => end(error.code ?? error.message));
  });
}
