import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 1_000;
const TIMEOUT_MS = 2_000;

/** What is shown of a consumer: the metric and, of its labels, the one that counts. */
const CONSUMER_METRICS = {
  inHand: ['millrace_inbox_pending_records'],
  held: ['millrace_inbox_set_aside_events', 'kind="held"'],
  parked: ['millrace_inbox_set_aside_events', 'kind="parked"'],
};

/** Reads, every second, how far relay and consumers are behind; what does not answer is shown as down. */
export class Gauges {
  #urls;
  #adminToken;
  #isStopped = false;
  #running;
  /** `{ name, state, lagEvents }`; `undefined` while the relay does not answer. */
  routes = undefined;
  /** `{ inHand, held, parked }` by service; `undefined` for one that does not answer. */
  consumers = {};

  constructor({ urls, adminToken }) {
    this.#urls = urls;
    this.#adminToken = adminToken;
  }

  start() {
    this.#running = this.#watch();
  }

  async stop() {
    this.#isStopped = true;
    await this.#running;
  }

  async #watch() {
    const { relay, ...services } = this.#urls;
    while (!this.#isStopped) {
      const consumers = Object.entries(services).map(async ([name, url]) => [name, await this.#consumer(url)]);
      this.routes = await this.#routes(relay);
      this.consumers = Object.fromEntries(await Promise.all(consumers));
      await sleep(PAUSE_MS);
    }
  }

  async #routes(url) {
    const answer = await read(`${url}/admin/v1/routes`, { authorization: `Bearer ${this.#adminToken}` });
    return answer === undefined
      ? undefined
      : JSON.parse(answer).routes.map(({ name, state, claim }) => ({
          name,
          state: state.kind,
          lagEvents: claim?.lagEvents,
        }));
  }

  async #consumer(url) {
    const text = await read(`${url}/metrics`);
    return text === undefined
      ? undefined
      : Object.fromEntries(Object.entries(CONSUMER_METRICS).map(([name, metric]) => [name, sumOf(text, ...metric)]));
  }
}

/** The sum of a metric over its labels, or those with `label`, in Prometheus text; `undefined` when there is none. */
export function sumOf(text, metric, label = '') {
  const values = text
    .split('\n')
    .filter((line) => (line.startsWith(`${metric} `) || line.startsWith(`${metric}{`)) && line.includes(label))
    .map((line) => Number(line.slice(line.lastIndexOf(' '))));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

async function read(url, headers = {}) {
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await response.text();
    return response.ok ? text : undefined;
  } catch {
    return undefined; // it is down, or being started
  }
}
