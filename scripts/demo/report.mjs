import { exitCodeOf, reportText } from '../invariants/report.mjs';
import { percentile } from './bookkeeping.mjs';
import { count, duration, killsText, seconds } from './view.mjs';

const DIFFERENCES_MAX = 20;

/** Whether nothing at all was wrong. */
export function isWell({ books, differences, invariants }) {
  return (
    books.findings.length === 0 && books.open.size === 0 && differences.length === 0 && exitCodeOf(invariants) === 0
  );
}

/** The end of a demo, for people. */
export function reportOf(outcome) {
  const wrong = [...outcome.books.findings, ...outcome.differences.slice(0, DIFFERENCES_MAX)];
  return [
    '',
    ...runLines(outcome),
    '',
    ...bookLines(outcome),
    '',
    reportText(outcome.invariants),
    '',
    ...wrong.map((line) => `WRONG     ${line}`),
    isWell(outcome)
      ? 'Every order is final, every piece of stock and every cent is where it belongs.'
      : 'NOT ALL IS WELL, see above.',
    '',
  ].join('\n');
}

function runLines({ options, placed, times, books, lookIntervalsMs, client, chaos }) {
  const latencies = books.latenciesMs.toSorted((a, b) => a - b);
  const at = (share) => seconds(percentile(latencies, share));
  const look = percentile(
    lookIntervalsMs.toSorted((a, b) => a - b),
    0.5,
  );
  return [
    `Seed ${options.seed}: ${count(placed)} orders in ${duration(times.placingMs)} (${(placed / (times.placingMs / 1_000)).toFixed(1)} a second); all final ${seconds(times.finalMs)} after the last${chaos === undefined ? '' : ' and the last return'}`,
    `  to final  p50 ${at(0.5)}   p95 ${at(0.95)}   p99 ${at(0.99)}   p99.9 ${at(0.999)}   max ${at(1)}   (looked at every ${seconds(look)})`,
    `  requests  ${count(client.repeats)} made again for want of an answer, ${count(client.failures)} answered with 500`,
    ...(chaos === undefined ? [] : chaosLines(chaos)),
  ];
}

function chaosLines(chaos) {
  const back = chaos.backAfterMs.toSorted((a, b) => a - b);
  return [
    `  kills     ${count(chaos.count)}: ${killsText({ kills: chaos.kills })}`,
    `  back      p50 ${seconds(percentile(back, 0.5))}   max ${seconds(percentile(back, 1))}   after the kill`,
  ];
}

function bookLines({ books, differences, placed }) {
  const { counts, cancels, repeats, reasons } = books;
  const why = [...reasons].map(([reason, number]) => `${reason} ${count(number)}`).join(', ');
  const mark = (isRight) => (isRight ? 'ok    ' : 'BROKEN');
  return [
    "The demo's own books",
    `  ${mark(counts.accepted === placed && books.open.size === 0)}  accepted orders are final: ${count(counts.accepted)} of ${count(placed)} accepted; confirmed ${count(counts.confirmed)}, rejected ${count(counts.rejected)} (${why}), cancelled ${count(counts.cancelled)}, open ${count(books.open.size)}`,
    `  ${mark(books.findings.length === 0)}  every answer was kept: ${count(cancels.taken)} cancellations accepted, ${count(cancels.late)} too late; ${count(repeats.same)} repeats answered the same, ${count(repeats.refused)} with another body refused`,
    `  ${mark(differences.length === 0)}  every article and every account of the run shows what its orders leave`,
  ];
}
