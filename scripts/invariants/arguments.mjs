import { parseArgs } from 'node:util';
import { CommandError } from '../setup/command-error.mjs';

export const HELP = `npm run invariants [-- options]

Asks GET /invariants of the three services, adds up across them, prints what holds, and exits with 1 when a rule is
broken. Rules that hold only once every event has been handled are "open" until then; that is no fault.

  --wait SECONDS        asks again until everything is at rest, also while a service does not answer;
                        what is open after so long counts as broken
  --order URL           where the services are; by default on this machine at ORDER_PORT (3001),
  --inventory URL       INVENTORY_PORT (3002) and PAYMENT_PORT (3003)
  --payment URL`;

const PORTS = { order: 3001, inventory: 3002, payment: 3003 };
const WAIT_MAX_SECONDS = 3600;

/** What `npm run invariants -- ...` was told. Throws, with one sentence, on what is not valid. */
export function parseInvariantsArguments(given, environment) {
  const { values } = parse(given);
  const urlOf = (name) =>
    readUrl(
      `--${name}`,
      values[name] ?? `http://127.0.0.1:${environment[`${name.toUpperCase()}_PORT`] ?? PORTS[name]}`,
    );
  return {
    isHelp: values.help === true,
    waitSeconds: readWait(values.wait),
    urls: { order: urlOf('order'), inventory: urlOf('inventory'), payment: urlOf('payment') },
  };
}

function parse(given) {
  const text = { type: 'string' };
  const options = { help: { type: 'boolean', short: 'h' }, wait: text, order: text, inventory: text, payment: text };
  try {
    return parseArgs({ args: given, options });
  } catch (error) {
    throw new CommandError(`${error.message} (npm run invariants -- --help)`);
  }
}

function readUrl(name, text) {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new CommandError(`${name} is not the URL of a service: give one such as http://127.0.0.1:3001`);
  }
  return url;
}

function readWait(text = '0') {
  if (!/^\d{1,4}$/.test(text) || Number(text) > WAIT_MAX_SECONDS) {
    throw new CommandError(`--wait takes a whole number of seconds from 0 to ${WAIT_MAX_SECONDS}`);
  }
  return Number(text);
}
