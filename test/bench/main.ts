import { parseArgs } from 'node:util';
import { KAFKA_CLIENTS, type KafkaClient } from '../harness/relay-process.js';
import { say } from '../harness/say.js';
import { benchConsume, CONSUME_PARTS } from './consume/consume-bench.js';
import { benchDrain } from './drain.js';
import { benchLatency } from './latency.js';

const USAGE = `Usage:
  npm run bench -- drain [--events 500000] [--runs 3] [--client platformatic|kafkajs|both] [--profile FOLDER]
  npm run bench -- latency [--rates 1000,2000] [--seconds 30] [--client platformatic|kafkajs|both]
  npm run bench -- consume [--events 100000] [--runs 3] [--client platformatic|kafkajs|both] [--batches 1,100]
                           [--concurrency 8] [--parts ${CONSUME_PARTS.join()}] [--profile FOLDER]`;

await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      client: { type: 'string', default: 'both' },
      events: { type: 'string' },
      batches: { type: 'string', default: '1,100' },
      concurrency: { type: 'string', default: '8' },
      parts: { type: 'string', default: CONSUME_PARTS.join() },
      runs: { type: 'string', default: '3' },
      profile: { type: 'string' },
      rates: { type: 'string', default: '1000,2000' },
      seconds: { type: 'string', default: '30' },
    },
  });
  const clients = clientsOf(values.client);
  if (positionals[0] === 'drain' && clients.length > 0) {
    const { events = '500000', runs, profile: profileDir } = values;
    await benchDrain({ clients, events: whole(events), runs: whole(runs), profileDir });
  } else if (positionals[0] === 'latency' && clients.length > 0) {
    const { rates, seconds } = values;
    await benchLatency({ clients, rates: rates.split(',').map(whole), seconds: whole(seconds) });
  } else if (positionals[0] === 'consume' && clients.length > 0) {
    const { events = '100000', runs, batches, concurrency, parts, profile: profileDir } = values;
    await benchConsume({
      clients,
      events: whole(events),
      runs: whole(runs),
      batchSizes: batches.split(',').map(whole),
      concurrency: whole(concurrency),
      parts: CONSUME_PARTS.filter((part) => parts.split(',').includes(part)),
      profileDir,
    });
  } else {
    say(USAGE);
    process.exitCode = 2;
  }
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
