import { parseArgs } from 'node:util';
import { type CaptureMode } from '@millrace/capture';
import { KAFKA_CLIENTS, type KafkaClient } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { benchCaptureDrain, type DrainKind } from './capture/capture-drain.js';
import { benchConsume, CONSUME_PARTS } from './consume/consume-bench.js';
import { benchDebeziumParity } from './debezium/debezium-parity.js';
import { benchDrain, type DrainOptions } from './drain/drain-bench.js';
import { startKafkaDrain } from './drain/kafka-drain.js';
import { startPostgresDrain } from './drain/postgres-drain.js';
import { SQS_QUEUES, type SqsQueueKind, startSqsDrain } from './drain/sqs-drain.js';
import { benchEncode } from './encode/encode-bench.js';
import { benchIdle } from './idle.js';
import { benchLatency } from './latency.js';
import { benchOldSnapshot } from './old-snapshot.js';
import { benchBigOutbox } from './outbox/big-outbox.js';

const USAGE = `Usage:
  npm run bench -- drain [--sink kafka|postgres|sqs|all] [--events 500000] [--runs 3] [--profile FOLDER]
                         [--client platformatic|kafkajs|both] [--idempotent on|off|both] [--queue fifo|standard|both]
                         with postgres 200,000 events by default, with sqs 50,000
  npm run bench -- drain --capture polling|wal|both [--events 500000] [--runs 3] [--profile FOLDER]
  npm run bench -- big-transaction [--capture polling|wal|both] [--events 200000] [--runs 3] [--profile FOLDER]
  npm run bench -- encode [--runs 3]
  npm run bench -- latency [--capture polling|wal|both] [--rates 1000,2000,5000] [--seconds 60] [--runs 3] [--profile FOLDER]
  npm run bench -- latency --old-snapshot 600 [--capture polling|wal|both] [--rates 2000]
  npm run bench -- idle [--capture polling|wal|both] [--sources 3] [--seconds 60] [--runs 3] [--profile FOLDER]
  npm run bench -- big-outbox [--rows 20000000] [--seconds 30]
  npm run bench -- consume [--events 100000] [--runs 3] [--client platformatic|kafkajs|both] [--batches 1,100]
                           [--concurrency 8] [--parts ${CONSUME_PARTS.join()}] [--profile FOLDER]
  npm run bench -- debezium-parity [--seconds 20] [--rates 500] [--seed 1]   needs Java 21; fetches 745 MiB once
  Where --capture is given, --client names one client, and --node gives the relay arguments for Node, separated by commas.`;

const OPTIONS = {
  capture: { type: 'string' },
  client: { type: 'string' },
  events: { type: 'string' },
  idempotent: { type: 'string', default: 'on' },
  batches: { type: 'string', default: '1,100' },
  concurrency: { type: 'string', default: '8' },
  node: { type: 'string', default: '' },
  'old-snapshot': { type: 'string' },
  parts: { type: 'string', default: CONSUME_PARTS.join() },
  rows: { type: 'string', default: '20000000' },
  runs: { type: 'string', default: '3' },
  profile: { type: 'string' },
  queue: { type: 'string', default: 'both' },
  rates: { type: 'string' },
  seconds: { type: 'string' },
  seed: { type: 'string', default: '1' },
  sink: { type: 'string', default: 'kafka' },
  sources: { type: 'string', default: '3' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

const COMMANDS: Readonly<Record<string, (values: Values) => Promise<void>>> = {
  drain: (values) => (values.capture === undefined ? drain(values) : captureDrain('backlog', values, '500000')),
  'big-transaction': (values) => captureDrain('transaction', values, '200000'),
  latency: (values) => (values['old-snapshot'] === undefined ? latency(values) : oldSnapshot(values)),
  encode: ({ runs }) => benchEncode({ runs: whole(runs) }),
  idle,
  'big-outbox': bigOutbox,
  consume,
  'debezium-parity': debeziumParity,
};

/** By sink: what starts it, and how many events there are by default. */
const DRAINS: Readonly<Record<string, (values: Values) => { start: DrainOptions['start']; events: string }>> = {
  kafka: ({ client, idempotent: modes }) => {
    const idempotent = modes === 'both' ? [false, true] : [modes === 'on'];
    return { start: () => startKafkaDrain({ clients: clientsOf(client), idempotent }), events: '500000' };
  },
  postgres: () => ({ start: startPostgresDrain, events: '200000' }),
  sqs: ({ queue }) => ({ start: () => startSqsDrain(queuesOf(queue)), events: '50000' }),
};

await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
  const command = COMMANDS[positionals[0] ?? ''];
  if (command === undefined) {
    say(USAGE);
    process.exitCode = 2;
  } else {
    await command(values);
  }
}

/** One sink after the other. */
async function drain(values: Values): Promise<void> {
  const sinks = Object.entries(DRAINS).filter(([sink]) => values.sink === 'all' || values.sink === sink);
  if (sinks.length === 0) {
    throw new Error(`--sink takes kafka, postgres, sqs or all.\n${USAGE}`);
  }
  for (const [, optionsOf] of sinks) {
    const { start, events } = optionsOf(values);
    await benchDrain({
      start,
      events: whole(values.events ?? events),
      runs: whole(values.runs),
      nodeArguments: profilerOf(values),
    });
  }
}

async function captureDrain(kind: DrainKind, values: Values, eventsByDefault: string): Promise<void> {
  const { events = eventsByDefault, runs } = values;
  await benchCaptureDrain({ ...relayOf(values), kind, events: whole(events), runs: whole(runs) });
}

async function latency(values: Values): Promise<void> {
  const { rates = '1000,2000,5000', seconds = '60', runs } = values;
  await benchLatency({ ...relayOf(values), rates: wholes(rates), seconds: whole(seconds), runs: whole(runs) });
}

async function oldSnapshot(values: Values): Promise<void> {
  const { rates = '2000', 'old-snapshot': seconds = '600' } = values;
  await benchOldSnapshot({ ...relayOf(values), rates: wholes(rates), snapshotSeconds: whole(seconds) });
}

async function idle(values: Values): Promise<void> {
  const { sources, seconds = '60', runs } = values;
  await benchIdle({ ...relayOf(values), sources: whole(sources), seconds: whole(seconds), runs: whole(runs) });
}

async function bigOutbox({ rows, seconds = '30' }: Values): Promise<void> {
  await benchBigOutbox({ rows: whole(rows), seconds: whole(seconds) });
}

async function consume(values: Values): Promise<void> {
  const { client, events = '100000', runs, batches, concurrency, parts, profile: profileDir } = values;
  await benchConsume({
    clients: clientsOf(client),
    events: whole(events),
    runs: whole(runs),
    batchSizes: wholes(batches),
    concurrency: whole(concurrency),
    parts: CONSUME_PARTS.filter((part) => parts.split(',').includes(part)),
    profileDir,
  });
}

async function debeziumParity({ seconds = '20', rates = '500', seed }: Values): Promise<void> {
  const [eventsPerSecond = 0] = wholes(rates);
  if (!(await benchDebeziumParity({ seconds: whole(seconds), eventsPerSecond, seed: whole(seed) }))) {
    process.exitCode = 1;
  }
}

/** How the relay is run where captures are compared. */
function relayOf(values: Values): {
  readonly captures: readonly CaptureMode[];
  readonly client: KafkaClient;
  readonly nodeArguments: readonly string[];
} {
  const { capture = 'both', client = 'platformatic', node } = values;
  const captures = (['polling', 'wal'] as const).filter((mode) => capture === 'both' || capture === mode);
  const [only, ...others] = clientsOf(client);
  if (captures.length === 0 || only === undefined || others.length > 0) {
    throw new Error(`--capture takes polling, wal or both, and --client one client.\n${USAGE}`);
  }
  const nodeArguments = [...profilerOf(values), ...node.split(',').filter((text) => text !== '')];
  return { captures, client: only, nodeArguments };
}

/** Arguments for Node. */
function profilerOf({ profile }: Values): readonly string[] {
  return profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
}

function queuesOf(text: string): readonly SqsQueueKind[] {
  const kinds = SQS_QUEUES.filter((kind) => text === 'both' || text === kind);
  if (kinds.length === 0) {
    throw new Error(`--queue takes fifo, standard or both.\n${USAGE}`);
  }
  return kinds;
}

function clientsOf(text = 'both'): readonly KafkaClient[] {
  const clients = KAFKA_CLIENTS.filter((client) => text === 'both' || text === client);
  if (clients.length === 0) {
    throw new Error(`--client takes platformatic, kafkajs or both.\n${USAGE}`);
  }
  return clients;
}

function wholes(text: string): number[] {
  return text.split(',').map(whole);
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new Error(`${text} is given where a whole number from 1 up is needed.\n${USAGE}`);
  }
  return Number(text);
}
