import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { say } from '../../harness/say.js';
import { machineText } from '../machine.js';
import { median } from '../statistics.js';
import { markdownTable, text } from '../table.js';
import { ENCODE_ROUTES } from './encode-routes.js';

const COLUMNS = ['medians', 'CPU ns/event', 'more than default'];
const DEFAULT = 'default';

/** What processor time a relay takes from the row of an event to its record, by what a route wants of its records. */
export async function benchEncode({ runs }: { readonly runs: number }): Promise<void> {
  say(`From the texts of a row to its record, payloads of about 300 bytes, three headers; ${machineText()}\n`);
  const names = Object.keys(ENCODE_ROUTES);
  const results = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let run = 1; run <= runs; run += 1) {
    for (const name of names) {
      results.get(name)?.push(await measured(name));
    }
  }
  const base = median(results.get(DEFAULT) ?? []);
  const rows = [...results].map(([name, values]) => {
    const ns = median(values);
    return [name, text(ns), name === DEFAULT ? '' : text(ns - base)];
  });
  say(markdownTable(COLUMNS, rows));
}

async function measured(name: string): Promise<number> {
  const worker = new Worker(new URL('encode-worker.js', import.meta.url), { workerData: name });
  const answers: unknown = await once(worker, 'message');
  await worker.terminate();
  return z.tuple([z.number()]).parse(answers)[0];
}
