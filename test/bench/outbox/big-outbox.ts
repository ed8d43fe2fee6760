import { say } from '../../harness/say.js';
import { startBenchServers } from '../bench-servers.js';
import { machineText } from '../machine.js';
import { makeOutboxPair } from './outbox-pair.js';
import { measureRetention } from './retention-load.js';
import { measureStatements } from './statement-costs.js';

/** What `bench big-outbox` is asked to do. */
export interface BigOutboxOptions {
  readonly rows: number;
  /** Of each phase of retention. */
  readonly seconds: number;
}

/** What a full outbox costs producers and the relay more than an empty one, and what producers notice of retention. */
export async function benchBigOutbox({ rows, seconds }: BigOutboxOptions): Promise<void> {
  const servers = await startBenchServers();
  let isComplete = false;
  try {
    say(`${rows.toLocaleString('en')} rows; ${machineText()}\n`);
    const pair = await makeOutboxPair(servers, rows);
    say(`${pair.leaves} leaves, ${Math.round(pair.bytes / 1024 ** 2)} MiB\n`);
    say(`${await measureStatements(pair)}\n`);
    say(`${seconds} s each:\n${await measureRetention(pair.full, seconds)}`);
    await Promise.all([pair.empty.capture.close(), pair.full.capture.close()]);
    isComplete = true;
  } finally {
    await servers.stop(isComplete ? 'remove' : 'keep');
  }
}
