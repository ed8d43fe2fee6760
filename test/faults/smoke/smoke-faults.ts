import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { consoleConsume, type ConsumedRecord, listTopics } from '@millrace/testing';
import { ApiClient } from '../../harness/api-client.js';
import { copyWithEdits, type LibEdit } from '../../harness/libs-copy.js';
import { type KafkaClient } from '../../harness/relay-process.js';
import { say } from '../../harness/say.js';
import { createMigratedDatabase, type Servers, startServers } from '../../harness/servers.js';
import { type App, type AppProgram, APPS, migrateShop, type Service, SERVICES, Shop } from '../../harness/shop.js';
import { killSchedule } from './kill-schedule.js';
import { Mayhem } from './mayhem.js';
import { PATIENCE_MS, type Settled, settle, SETTLE_MS } from './settling.js';
import {
  checkMoney,
  checkStock,
  checkStories,
  checkTopic,
  TOPICS,
  type Violation,
  type ViolationKind,
} from './shop-check.js';
import { ShopLoad } from './shop-load.js';
import { ShopPlan } from './shop-plan.js';
import { ShopSamples } from './shop-samples.js';
import { readShopState } from './shop-state.js';
import { ShopTruth } from './shop-truth.js';
import { reportLines, type SmokeReport } from './smoke-report.js';
import { timelines } from './timeline.js';

/** A fault put in on purpose, by which the checks are tried. */
export const WRONG_RULES = ['relay-acks-early', 'consumer-commits-early'] as const;
export type WrongRule = (typeof WRONG_RULES)[number];

/** What one run is asked to do. */
export interface SmokeOptions {
  readonly client: KafkaClient;
  readonly seed: number;
  readonly seconds: number;
  readonly ordersPerSecond: number;
  readonly wrongRule: WrongRule | undefined;
}

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');
const PROGRESS_MS = 5_000;
const TIMELINES_SHOWN = 40;

const EDITS: Readonly<Record<WrongRule, readonly LibEdit[]>> = {
  'relay-acks-early': [],
  // what was received counts as done
  'consumer-commits-early': [
    {
      file: 'inbox/dist/offset-window.js',
      find: 'this.#entries.push(entry);',
      replace: 'this.#entries.push(entry); this.#nextOffset = offset + 1n;',
    },
    { file: 'inbox/dist/offset-window.js', find: 'this.#nextOffset = first.offset + 1n;', replace: '' },
  ],
};

/**
 * The three services and the relay under a load of orders, while everything is killed again and again; then quiet, and
 * all that three databases and Kafka hold is held against what the customers were told. True when no promise was
 * broken, or, with a fault put in on purpose, when it was found.
 */
export async function runSmokeFaults(options: SmokeOptions): Promise<boolean> {
  const { client, seed, seconds, ordersPerSecond, wrongRule } = options;
  say(`\n${client}, seed ${seed}, ${seconds} s of ${ordersPerSecond} orders/s${wrongRule ? `, ${wrongRule}` : ''}`);
  const servers = await startServers({ kafkaHeapMb: 512, postgresSettings: { shared_buffers: '256MB' } });
  let isAsExpected = false;
  try {
    const report = await runOn(servers, options);
    reportLines(report).forEach(say);
    isAsExpected = (report.violations.length === 0) === (wrongRule === undefined);
  } finally {
    await servers.stop(isAsExpected ? 'remove' : 'keep');
    if (!isAsExpected) {
      say(`  logs: ${servers.folder}`);
    }
  }
  return isAsExpected;
}

async function runOn(servers: Servers, options: SmokeOptions): Promise<SmokeReport> {
  const databaseUrls = {
    order: await createMigratedDatabase(servers.postgres, 'shop_order'),
    inventory: await createMigratedDatabase(servers.postgres, 'shop_inventory'),
    payment: await createMigratedDatabase(servers.postgres, 'shop_payment'),
  };
  const { brokers } = servers.kafka;
  const shopOptions = {
    folder: servers.folder,
    databaseUrls,
    brokers,
    client: options.client,
    relayConfig: join(ROOT, 'millrace.yaml'),
    program: programsOf(servers.folder, options.wrongRule),
  };
  await migrateShop(shopOptions);
  const shop = await Shop.start(shopOptions);
  try {
    return await runShop({ servers, shop, databaseUrls, options });
  } finally {
    await shop.stop('SIGTERM');
  }
}

interface Course {
  readonly servers: Servers;
  readonly shop: Shop;
  readonly databaseUrls: Readonly<Record<Service, string>>;
  readonly options: SmokeOptions;
}

async function runShop(course: Course): Promise<SmokeReport> {
  const { servers, shop, databaseUrls, options } = course;
  const { seed, seconds, ordersPerSecond } = options;
  const plan = new ShopPlan(seed);
  const truth = new ShopTruth();
  const client = new ApiClient();
  const parts = { plan, truth, client, databaseUrls, urlOf: (service: Service) => shop.url(service) };
  const load = new ShopLoad(parts);
  const samples = new ShopSamples(parts);
  const mayhem = new Mayhem({ servers, shop, told: say });
  await load.open();
  samples.start();
  const progress = setInterval(() => {
    say(`    ${load.placed} orders placed, ${truth.orders.size} accepted, ${load.openRequests} requests open`);
  }, PROGRESS_MS);
  const kills = mayhem.run(killSchedule(seed, seconds));
  const startedMs = performance.now();
  await load.run(seconds * ordersPerSecond, ordersPerSecond);
  const loadMs = performance.now() - startedMs;
  await Promise.all([kills, load.drained()]);
  const endedMs = Math.max(startedMs + loadMs, mayhem.lastMs);
  clearInterval(progress);
  const patienceMs = options.wrongRule === undefined ? PATIENCE_MS : SETTLE_MS;
  const settled = await settle({ databaseUrls, brokers: servers.kafka.brokers }, endedMs, patienceMs);
  await load.repeatSome();
  await samples.stop();
  const verdict = await judge(course, { truth, settled, samples, client, lost: mayhem.lost });
  return {
    ...verdict,
    options,
    loadMs,
    settled,
    truth,
    client,
    sampled: samples.counts,
    kills: mayhem.summary,
    unasked: APPS.reduce((sum, app) => sum + shop.app(app).unasked, 0),
  };
}

interface Evidence {
  readonly truth: ShopTruth;
  readonly settled: Settled;
  readonly samples: ShopSamples;
  readonly client: ApiClient;
  readonly lost: readonly string[];
}

type Verdict = Pick<SmokeReport, 'violations' | 'state' | 'records' | 'repeats' | 'timelines'>;

async function judge({ servers, shop, databaseUrls }: Course, evidence: Evidence): Promise<Verdict> {
  const { truth, settled, samples, client, lost } = evidence;
  const rules = invariantsProblems(shop);
  const state = await readShopState(databaseUrls);
  const violations: Violation[] = [
    ...all('late', [...lost, ...settled.late]),
    ...checkStories(truth, state),
    ...checkStock(truth, state),
    ...checkMoney(truth, state),
    ...all('set aside', state.leftovers),
    ...all('reading', samples.problems),
    ...all('answer', [...truth.wrongAnswers, ...client.failures]),
    ...all('rule', rules),
  ];
  const records: ConsumedRecord[] = [];
  let repeats = 0;
  for (const service of SERVICES) {
    const topic = TOPICS[service];
    const found = await consoleConsume({ brokers: servers.kafka.brokers, topic });
    const { problems, repeats: again } = checkTopic(service, state, found);
    violations.push(
      ...all(
        'kafka',
        problems.map(({ kind, text }) => `${topic}: ${kind}: ${text}`),
      ),
    );
    records.push(...found);
    repeats += again.length;
  }
  violations.push(...(await strangeTopics(servers)));
  const known = timelines(violations, { truth, state, records });
  if (known.length > 0) {
    const file = join(servers.folder, 'timelines.txt');
    writeFileSync(file, `${known.join('\n')}\n`);
    say(`  what is known of the orders in question: ${file}`);
  }
  return { violations, state, records: records.length, repeats, timelines: known.slice(0, TIMELINES_SHOWN) };
}

async function strangeTopics(servers: Servers): Promise<Violation[]> {
  const wanted = Object.values(TOPICS);
  const topics = await listTopics(servers.kafka.brokers);
  return all(
    'kafka',
    topics.filter((topic) => !topic.startsWith('__') && !wanted.includes(topic)).map((topic) => `a topic ${topic}`),
  );
}

function all(kind: ViolationKind, texts: readonly string[]): Violation[] {
  return texts.map((text) => ({ kind, text }));
}

/** `npm run invariants`, as an operator asks. */
function invariantsProblems(shop: Shop): string[] {
  const urls = SERVICES.flatMap((service) => [`--${service}`, shop.url(service)]);
  const script = join(ROOT, 'scripts', 'invariants.mjs');
  const answer = spawnSync(process.execPath, [script, '--wait', '5', ...urls], { encoding: 'utf8' });
  const broken = answer.stdout.split('\n').filter((line) => /BROKEN|NOT AT REST|^ {2}open/.test(line));
  return answer.status === 0
    ? []
    : [`npm run invariants ends with ${answer.status ?? 'a signal'}: ${[...broken, answer.stderr].join('\n  ')}`];
}

/** The built apps, copied, so that a build beside the run does not disturb it. */
function programsOf(
  folder: string,
  wrongRule: WrongRule | undefined,
): (app: App, entry: 'main' | 'migrate') => AppProgram {
  const programs = copyWithEdits(join(folder, 'programs'), wrongRule === undefined ? [] : EDITS[wrongRule]);
  const earlyAck = `--import=${join(programs, 'faults', 'preload', 'early-ack.js')}`;
  return (app, entry) => ({
    main: join(programs, '..', 'apps', app, `${entry}.js`),
    nodeArguments: ['--enable-source-maps', ...(app === 'relay' && wrongRule === 'relay-acks-early' ? [earlyAck] : [])],
  });
}
