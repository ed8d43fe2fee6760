import { join } from 'node:path';
import { startTestServers } from '@millrace/testing';
import { runSpec } from './jest-run.mjs';
import { RULES } from './rules.mjs';
import { WorkspaceCopy } from './workspace-copy.mjs';

/**
 * `npm run test:mutations [-- name ...]`: puts wrong rules into a copy of the sources, one at a time, and shows that a
 * test turns red for each. Ends with 1 when one survives, or when a test is not green without them.
 */
const ROOT = join(import.meta.dirname, '..', '..');
/** No test named here needs a Kafka that it does not start itself. */
const NO_KAFKA = '127.0.0.1:1';

const say = (line) => process.stdout.write(`${line}\n`);

const names = process.argv.slice(2);
const unknown = names.filter((name) => !RULES.some((rule) => rule.name === name));
if (unknown.length > 0) {
  say(`There is no mutation ${unknown.join(', ')}. There are: ${RULES.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}
process.exitCode = await main(names.length === 0 ? RULES : RULES.filter(({ name }) => names.includes(name)));

async function main(rules) {
  const postgresUrl = process.env.MILLRACE_TEST_POSTGRES_URL;
  const servers = await startTestServers({ postgresUrl, kafkaBrokers: NO_KAFKA });
  const copy = new WorkspaceCopy(ROOT);
  try {
    const environment = { MILLRACE_TEST_POSTGRES_URL: servers.postgresUrl, MILLRACE_TEST_KAFKA_BROKERS: NO_KAFKA };
    return (await isControlGreen(copy, rules, environment)) ? await killAll(copy, rules, environment) : 1;
  } finally {
    copy.remove();
    await servers.stop();
  }
}

/** Every test that is used, without a mutation. */
async function isControlGreen(copy, rules, environment) {
  const tests = new Map(rules.map(({ test }) => [JSON.stringify(test), test]));
  for (const { path, only, seeds } of tests.values()) {
    for (const seed of seeds?.slice(0, 3) ?? [undefined]) {
      const { kind, detail } = await runSpec(copy.folder, { path, only, seed }, environment);
      if (kind !== 'green') {
        say(`The control is ${kind}: ${path}${seed === undefined ? '' : ` with seed ${seed}`}: ${detail}`);
        return false;
      }
    }
  }
  say(`control: ${tests.size} tests green without mutations`);
  return true;
}

async function killAll(copy, rules, environment) {
  let survivors = 0;
  for (const rule of rules) {
    const started = performance.now();
    const { isKilled, detail } = await tryToKill(copy, rule, environment);
    const seconds = Math.round((performance.now() - started) / 1_000);
    survivors += isKilled ? 0 : 1;
    say(`${isKilled ? 'killed  ' : 'SURVIVED'} ${rule.name} (${rule.wrong}), ${seconds} s: ${detail}`);
  }
  say(`${rules.length - survivors} killed, ${survivors} survived`);
  return survivors === 0 ? 0 : 1;
}

async function tryToKill(copy, { test, edits }, environment) {
  const restore = copy.apply(edits);
  try {
    const seeds = test.seeds ?? [undefined];
    for (const [index, seed] of seeds.entries()) {
      const { kind, detail } = await runSpec(copy.folder, { path: test.path, only: test.only, seed }, environment);
      if (kind !== 'green') {
        const chance = seed === undefined ? '' : `seed ${seed}, try ${index + 1} of at most ${seeds.length}: `;
        return {
          isKilled: kind === 'red',
          detail: `${kind === 'red' ? '' : 'the test did not run: '}${chance}${detail}`,
        };
      }
    }
    return { isKilled: false, detail: `the test stayed green${test.seeds ? ` on ${seeds.length} seeds` : ''}` };
  } finally {
    restore();
  }
}
