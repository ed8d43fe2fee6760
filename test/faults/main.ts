import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { KAFKA_CLIENTS, type KafkaClient } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { CAPTURE_USAGE, runCapture } from './capture/capture-command.js';
import { CONSUME_ROWS, runConsumeFaults } from './consume/consume-faults.js';
import { runLedger } from './ledger-run.js';
import { PUBLISH_USAGE, runPublish } from './publish/publish-command.js';
import { type RelayFaultsOptions, runRelayFaults } from './relay-faults.js';
import { runSmokeFaults, type SmokeOptions, WRONG_RULES } from './smoke/smoke-faults.js';

const USAGE = `Usage:
  npm run test:faults -- ledger [--seeds 20] [--from 1]
  npm run test:faults -- relay [--client platformatic|kafkajs|both] [--seconds 60] [--seed N] [--rate 1000]
                               [--lease-ms 3000]
  npm run test:faults -- relay-control [the same]   the same with a fault put in on purpose: it must be found
  npm run test:faults -- consume [--client platformatic|kafkajs|both] [--rows ${CONSUME_ROWS.join()}] [--seed N]
${CAPTURE_USAGE}
${PUBLISH_USAGE}
  npm run test:faults -- smoke [--client platformatic|kafkajs|both] [--seconds 60] [--seed N] [--rate 100]
  npm run test:faults -- smoke-control [the same]   with each of: ${WRONG_RULES.join(', ')}`;

const WITH_OWN_OPTIONS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  ledger: runLedger,
  capture: runCapture,
  publish: runPublish,
  'take-over': async (args) => runCapture(['--rows', 'C3', ...args]),
  switch: async (args) => runCapture(['--rows', 'C6', ...args]),
};

// not exitCode: after hours of broken connections Node's own clean-up of handles has been seen to spin for ever (24.21)
process.exit(await main());

async function main(): Promise<number> {
  const [first, ...rest] = process.argv.slice(2);
  const own = WITH_OWN_OPTIONS[first ?? ''];
  if (own !== undefined) {
    return own(rest);
  }
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      client: { type: 'string', default: 'both' },
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
      rate: { type: 'string' },
      'lease-ms': { type: 'string', default: '3000' },
      rows: { type: 'string', default: CONSUME_ROWS.join() },
    },
  });
  const [name = ''] = positionals;
  const clients = clientsOf(values.client);
  const [seed, seconds] = [whole(values.seed), whole(values.seconds)];
  const rateOr = (byDefault: string): number => whole(values.rate ?? byDefault);
  const isControl = name.endsWith('-control');
  switch (clients.length === 0 ? '' : name) {
    case 'consume':
      return runConsume(clients, seed, values.rows.split(',').map(whole));
    case 'smoke':
    case 'smoke-control':
      return runSmoke(clients, { seed, seconds, ordersPerSecond: rateOr('100') }, isControl);
    case 'relay':
    case 'relay-control': {
      const load = {
        seed,
        seconds,
        eventsPerSecond: rateOr('1000'),
        leaseMs: whole(values['lease-ms']),
        isAckingEarly: isControl,
      };
      return runRelay(clients, load);
    }
    default:
      say(USAGE);
      return 2;
  }
}

async function runRelay(clients: readonly KafkaClient[], load: Omit<RelayFaultsOptions, 'client'>): Promise<number> {
  let isAsExpected = true;
  for (const client of clients) {
    const isRunAsExpected = await runRelayFaults({ ...load, client });
    isAsExpected &&= isRunAsExpected;
  }
  say(verdictText(isAsExpected, load.isAckingEarly));
  return isAsExpected ? 0 : 1;
}

async function runConsume(clients: readonly KafkaClient[], seed: number, rows: readonly number[]): Promise<number> {
  if (!rows.every((row) => CONSUME_ROWS.includes(row))) {
    say(USAGE);
    return 2;
  }
  let isAsExpected = true;
  for (const client of clients) {
    const isRunAsExpected = await runConsumeFaults({ client, seed, rows });
    isAsExpected &&= isRunAsExpected;
  }
  say(isAsExpected ? '\nNo promise was broken, and every wrong rule was found.' : '\nNot as it must be: see above.');
  return isAsExpected ? 0 : 1;
}

async function runSmoke(
  clients: readonly KafkaClient[],
  load: Omit<SmokeOptions, 'client' | 'wrongRule'>,
  isControl: boolean,
): Promise<number> {
  let isAsExpected = true;
  for (const client of clients) {
    for (const wrongRule of isControl ? WRONG_RULES : [undefined]) {
      const isRunAsExpected = await runSmokeFaults({ ...load, client, wrongRule });
      isAsExpected &&= isRunAsExpected;
    }
  }
  say(verdictText(isAsExpected, isControl));
  return isAsExpected ? 0 : 1;
}

function verdictText(isAsExpected: boolean, isControl: boolean): string {
  if (isControl) {
    return isAsExpected ? '\nThe fault put in on purpose was found.' : '\nThe fault put in on purpose was NOT found.';
  }
  return isAsExpected ? '\nNo promise was broken.' : '\nA promise was broken.';
}

function clientsOf(text: string): readonly KafkaClient[] {
  return KAFKA_CLIENTS.filter((client) => text === 'both' || text === client);
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new Error(`${text} is given where a whole number from 1 up is needed.\n${USAGE}`);
  }
  return Number(text);
}
