import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bookkeeping } from './bookkeeping.mjs';
import { Chaos } from './chaos.mjs';
import { waitForConservation } from './conservation.mjs';
import { Gauges } from './gauges.mjs';
import { Placing } from './placing.mjs';
import { Plan } from './plan.mjs';
import { isWell, reportOf } from './report.mjs';
import { ServiceClient } from './service-client.mjs';
import { stockUp } from './stocking.mjs';
import { View } from './view.mjs';
import { Watching } from './watching.mjs';

const FINAL_LIMIT_MS = 30_000;
const POLL_MS = 100;

/** One run against an instance that is up; resolves to the exit code. */
export async function runDemo(options, instance) {
  return new Demo(options, instance).run();
}

class Demo {
  #options;
  #urls;
  #client = new ServiceClient();
  #plan;
  #books;
  #placing;
  #watching;
  #gauges;
  #chaos;
  #phase = 'filling the stock';
  #startedMs = performance.now();
  #placingMs;
  #interrupts = 0;

  constructor(options, { urls, adminToken }) {
    const run = `demo-${Date.now().toString(36)}`;
    this.#options = options;
    this.#urls = urls;
    this.#plan = new Plan(options.seed, run);
    this.#books = new Bookkeeping(this.#plan);
    const parts = { plan: this.#plan, books: this.#books, client: this.#client, urls };
    this.#placing = new Placing(parts);
    this.#watching = new Watching(parts);
    this.#gauges = new Gauges({ urls, adminToken });
    this.#chaos = options.isChaos ? new Chaos(options.seed) : undefined;
  }

  async run() {
    const { orders, ratePerSecond, seed, isChaos, reportFile } = this.#options;
    console.log(`Seed ${seed}: ${orders} orders at ${ratePerSecond} a second${isChaos ? ', with kills' : ''}.\n`);
    const onInterrupt = () => this.#interrupt();
    process.on('SIGINT', onInterrupt);
    const view = new View(() => this.#state());
    this.#gauges.start();
    view.start();
    try {
      const times = await this.#work();
      const outcome = await this.#outcome(times);
      view.stop();
      const report = reportOf(outcome);
      console.log(report);
      if (reportFile !== undefined) {
        writeFileSync(reportFile, report);
      }
      return isWell(outcome) ? 0 : 1;
    } finally {
      view.stop();
      await this.#gauges.stop();
      process.off('SIGINT', onInterrupt);
    }
  }

  async #work() {
    await stockUp(this.#plan, { client: this.#client, urls: this.#urls });
    this.#enter('placing orders');
    this.#placingMs = performance.now();
    this.#watching.start();
    this.#chaos?.start();
    await this.#placing.run(this.#options);
    const placedMs = performance.now();
    this.#enter('waiting for what was killed');
    for (const name of (await this.#chaos?.stop()) ?? []) {
      this.#books.finding(`${name} did not come back after it was killed`);
    }
    const calmMs = performance.now();
    this.#enter('waiting until every order is final');
    await this.#untilFinal(calmMs + FINAL_LIMIT_MS);
    const finalMs = performance.now();
    this.#enter('adding up');
    return { placingMs: placedMs - this.#placingMs, calmMs: calmMs - placedMs, finalMs: finalMs - calmMs };
  }

  async #untilFinal(deadlineMs) {
    const { open } = this.#books;
    while (open.size > 0 && performance.now() < deadlineMs) {
      await sleep(POLL_MS);
    }
    if (open.size > 0) {
      const [first] = open.keys();
      this.#books.finding(
        `${open.size} orders were not final after ${FINAL_LIMIT_MS / 1_000} s, the first is ${first}`,
      );
    }
  }

  async #outcome(times) {
    const parts = { plan: this.#plan, books: this.#books, client: this.#client, urls: this.#urls };
    const conservation = await waitForConservation(parts);
    await this.#watching.stop();
    for (const [name, { held, parked }] of Object.entries(this.#gauges.consumers).filter(([, seen]) => seen)) {
      if (held > 0 || parked > 0) {
        this.#books.finding(`the ${name} service has ${held} events held and ${parked} parked`);
      }
    }
    return {
      options: this.#options,
      placed: this.#placing.placed,
      times,
      books: this.#books,
      lookIntervalsMs: this.#watching.intervalsMs,
      client: this.#client,
      chaos: this.#chaos,
      ...conservation,
    };
  }

  #enter(phase) {
    this.#phase = phase;
  }

  #interrupt() {
    this.#interrupts += 1;
    if (this.#interrupts > 1) {
      process.exit(130);
    }
    this.#placing.stop();
  }

  #state() {
    const seconds = this.#placingMs === undefined ? 0 : (performance.now() - this.#placingMs) / 1_000;
    return {
      elapsedMs: performance.now() - this.#startedMs,
      phase: this.#phase,
      orders: this.#options.orders,
      placed: this.#placing.placed,
      perSecond: seconds === 0 ? 0 : this.#placing.placed / Math.max(1, seconds),
      inFlight: this.#placing.inFlight,
      repeats: this.#client.repeats,
      books: this.#books,
      gauges: this.#gauges,
      chaos: this.#chaos,
    };
  }
}
