import { percentile } from './bookkeeping.mjs';

const REDRAW_MS = 500;
const LINE_MS = 5_000;
const NEWEST = 500;
const DOWN = 'down';

/** Shows how the demo goes: a block that is drawn again on a terminal, one line now and then elsewhere. */
export class View {
  #out;
  #read;
  #timer;
  #drawn = 0;

  /** `read` gives what is to be shown, as `blockOf` and `lineOf` take it. */
  constructor(read, out = process.stdout) {
    this.#read = read;
    this.#out = out;
  }

  start() {
    const draw = this.#out.isTTY ? () => this.#redraw() : () => this.#out.write(`${lineOf(this.#read())}\n`);
    this.#timer = setInterval(draw, this.#out.isTTY ? REDRAW_MS : LINE_MS);
    draw();
  }

  /** Leaves the last state on the screen. */
  stop() {
    clearInterval(this.#timer);
    if (this.#out.isTTY) {
      this.#redraw();
    }
  }

  #redraw() {
    const lines = blockOf(this.#read()).map((line) => line.slice(0, this.#out.columns));
    const back = this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A`;
    this.#out.write(`${back}${lines.map((line) => `\u001b[2K${line}\n`).join('')}`);
    this.#drawn = lines.length;
  }
}

/** The state as lines of a block. */
export function blockOf(state) {
  const { placed, orders, perSecond, inFlight, repeats, books, gauges, chaos } = state;
  const newest = newestLatencies(books);
  return [
    `  ${'time'.padEnd(10)} ${duration(state.elapsedMs)}   ${state.phase}`,
    `  ${'placed'.padEnd(10)} ${count(placed)} of ${count(orders)}   ${perSecond.toFixed(0)}/s   ${count(inFlight)} in flight   ${count(repeats)} requests made again`,
    `  ${'orders'.padEnd(10)} ${ordersText(books)}`,
    `  ${'to final'.padEnd(10)} p50 ${seconds(percentile(newest, 0.5))}   p95 ${seconds(percentile(newest, 0.95))}   p99 ${seconds(percentile(newest, 0.99))}   of the last ${count(newest.length)}`,
    `  ${'relay'.padEnd(10)} ${routesText(gauges.routes)}`,
    `  ${'consumers'.padEnd(10)} ${consumersText(gauges.consumers)}`,
    ...(chaos === undefined ? [] : [`  ${'kills'.padEnd(10)} ${killsText(chaos)}`]),
    ...(books.findings.length === 0 ? [] : [`  ${'WRONG'.padEnd(10)} ${books.findings.at(-1)}`]),
  ];
}

/** The state as one line. */
export function lineOf(state) {
  const { placed, orders, perSecond, books, gauges, chaos } = state;
  return [
    `${duration(state.elapsedMs)} ${state.phase}`,
    `placed ${placed}/${orders} ${perSecond.toFixed(0)}/s`,
    ordersText(books),
    `p99 ${seconds(percentile(newestLatencies(books), 0.99))}`,
    `relay ${sum((gauges.routes ?? []).map(({ lagEvents }) => lagEvents))}`,
    `consumers ${consumersText(gauges.consumers)}`,
    ...(chaos === undefined ? [] : [`kills ${chaos.count}`]),
    ...(books.findings.length === 0 ? [] : [`WRONG ${books.findings.at(-1)}`]),
  ].join(' | ');
}

function newestLatencies({ latenciesMs }) {
  return latenciesMs.slice(-NEWEST).sort((a, b) => a - b);
}

function ordersText({ open, counts }) {
  const { confirmed, rejected, cancelled } = counts;
  return `pending ${count(open.size)}   confirmed ${count(confirmed)}   rejected ${count(rejected)}   cancelled ${count(cancelled)}`;
}

function routesText(routes) {
  return routes === undefined
    ? DOWN
    : routes.map(({ name, state, lagEvents }) => `${name} ${state} ${lagEvents ?? '-'} behind`).join('   ');
}

function consumersText(consumers) {
  return Object.entries(consumers)
    .map(([name, gauges]) =>
      gauges === undefined
        ? `${name} ${DOWN}`
        : `${name} ${gauges.inHand ?? '-'} in hand${asideText('held', gauges.held)}${asideText('parked', gauges.parked)}`,
    )
    .join('   ');
}

function asideText(word, number) {
  return number > 0 ? ` ${number} ${word}` : '';
}

/** How often each was killed, and what happened last. */
export function killsText({ kills, last }) {
  const each = [...kills].map(([name, number]) => `${name} ${number}`).join('   ');
  return `${each === '' ? 'none' : each}${last === undefined ? '' : `   (${last})`}`;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + (number ?? 0), 0);
}

/** 12,345 */
export function count(number) {
  return number.toLocaleString('en-US');
}

/** 0.12 s */
export function seconds(milliseconds) {
  return `${(milliseconds / 1_000).toFixed(2)} s`;
}

/** 01:05 */
export function duration(milliseconds) {
  const whole = Math.floor(milliseconds / 1_000);
  return `${String(Math.floor(whole / 60)).padStart(2, '0')}:${String(whole % 60).padStart(2, '0')}`;
}
