const HEADINGS = {
  always: 'Across the services, at every instant: never more on the left than on the right',
  'at-rest': 'Across the services, at rest: the same on both sides',
};

/** 1 when a rule is broken, or when rules are open that were waited for. */
export function exitCodeOf({ reports, conservation, waitSeconds }) {
  const isBroken = !conservation.holds || reports.some(({ holds }) => !holds);
  const isOverdue = waitSeconds > 0 && !conservation.isAtRest;
  return isBroken || isOverdue ? 1 : 0;
}

/** The whole report, for people. */
export function reportText(outcome) {
  const { reports, conservation } = outcome;
  return [
    ...reports.flatMap(serviceLines),
    ...Object.entries(HEADINGS).flatMap(([kind, heading]) => [
      heading,
      ...conservation.rules.filter((rule) => rule.kind === kind).map(ruleLine),
      '',
    ]),
    ...verdict(outcome),
  ].join('\n');
}

function serviceLines({ service, checkedAt, figures, invariants }) {
  return [`The ${service} service at ${checkedAt}`, ...figureLines(figures), ...invariants.flatMap(invariantLines), ''];
}

/** One line per group of figures: `orders  pending 3 (4,500 cents), confirmed ...`. */
function figureLines(figures) {
  const single = Object.entries(figures).filter(([, value]) => typeof value === 'string' || isTally(value));
  const groups = Object.entries(figures).filter(([, value]) => typeof value === 'object' && !isTally(value));
  return [
    ...groups.map(([name, group]) => `          ${name}: ${wordsOf(Object.entries(group))}`),
    ...(single.length === 0 ? [] : [`          ${wordsOf(single)}`]),
  ];
}

function isTally(value) {
  return typeof value === 'object' && 'count' in value && 'cents' in value;
}

function wordsOf(entries) {
  return entries.map(([name, value]) => `${name} ${isTally(value) ? amount(value) : grouped(value)}`).join(', ');
}

function invariantLines({ name, rule, holds, numbers }) {
  const state = holds === null ? '?' : holds ? 'ok' : 'BROKEN';
  const shown = Object.entries(numbers).map(([what, value]) => `${what} ${grouped(value)}`);
  return [
    `  ${state.padEnd(6)}  ${name}: ${rule}`,
    ...(holds === null ? ['          not checked: the database user of the service may not read what it needs'] : []),
    ...(holds === false ? [`          ${shown.join(', ')}`] : []),
  ];
}

function ruleLine({ name, kind, state, left, right }) {
  const states = { holds: 'ok', open: 'open', broken: 'BROKEN' };
  const sign = kind === 'always' ? '<=' : '=';
  const sides = [left, right].map((side) => (side.what === 'none' ? '0' : `${side.what} ${amount(side)}`));
  return `  ${states[state].padEnd(6)}  ${name}: ${sides.join(` ${sign} `)}`;
}

function verdict({ reports, conservation, waitSeconds }) {
  const broken = [
    ...reports.flatMap(({ service, invariants }) =>
      invariants.filter(({ holds }) => holds === false).map(({ name }) => `${name} (${service})`),
    ),
    ...conservation.rules.filter(({ state }) => state === 'broken').map(({ name }) => name),
  ];
  const open = conservation.rules.filter(({ state }) => state === 'open').map(({ name }) => name);
  return [
    ...(broken.length === 0 ? [] : [`BROKEN: ${broken.join(', ')}. Money or pieces were lost or made.`]),
    ...(open.length === 0 ? [] : [openLine(open, waitSeconds)]),
    ...(broken.length + open.length === 0 ? ['Everything holds, and nothing is on its way.'] : []),
  ];
}

function openLine(open, waitSeconds) {
  const names = open.join(', ');
  return waitSeconds === 0
    ? `On its way: ${names}. These hold once every event is handled; --wait 60 waits for that.`
    : `NOT AT REST after ${waitSeconds} s: ${names}. A service or the relay is behind (GET /health/ready of each, ` +
        'lag, held and parked events), or an event was lost.';
}

function amount({ count, cents }) {
  return `${grouped(count)} (${grouped(cents)} cents)`;
}

/** Whole numbers with commas; anything else as it is. */
function grouped(value) {
  const text = String(value);
  return /^-?\d+$/.test(text) ? BigInt(text).toLocaleString('en-US') : text;
}
