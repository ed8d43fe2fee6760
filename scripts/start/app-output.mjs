const LEVELS = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };
const COLOURS = { warn: '\u001b[33m', error: '\u001b[31m', fatal: '\u001b[31m' };
const PLAIN = '\u001b[0m';

/** Fields that say nothing to the reader of a terminal. */
const LEFT_OUT = new Set(['level', 'time', 'msg', 'app', 'pid', 'hostname', 'v', 'context']);

/** One line of an app's log for a terminal: its name, the level, the phrase and the fields of a JSON line, or the text. */
export function formatLine(name, line, hasColours = false) {
  const entry = parseEntry(line);
  if (entry === undefined) {
    return `${name.padEnd(9)} ${line}`;
  }
  const level = LEVELS[entry.level] ?? 'info';
  const fields = Object.entries(entry)
    .filter(([field]) => !LEFT_OUT.has(field) && field !== 'err')
    .map(([field, value]) => ` ${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const where = entry.context === undefined ? '' : `${entry.context}: `;
  const text = `${name.padEnd(9)} ${level.padEnd(5)} ${where}${entry.msg ?? ''}${fields.join('')}${causeOf(entry.err)}`;
  const colour = hasColours ? COLOURS[level] : undefined;
  return colour === undefined ? text : `${colour}${text}${PLAIN}`;
}

/** Passes a stream of an app's output on, line by line. */
export function printLines(name, stream, print) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    lines.filter((line) => line !== '').forEach((line) => print(formatLine(name, line, process.stdout.isTTY)));
  });
  stream.on('end', () => {
    if (rest !== '') {
      print(formatLine(name, rest, process.stdout.isTTY));
    }
  });
}

function parseEntry(line) {
  if (!line.startsWith('{')) {
    return undefined;
  }
  try {
    const entry = JSON.parse(line);
    return typeof entry.level === 'number' ? entry : undefined;
  } catch {
    return undefined; // a line that only looks like JSON is printed as it is
  }
}

function causeOf(error) {
  const reasons = [];
  for (let at = error; at !== undefined && at !== null && reasons.length < 4; at = at.cause) {
    reasons.push(at.message ?? at.type);
  }
  return reasons.length === 0 ? '' : ` (${reasons.join('; because: ')})`;
}
