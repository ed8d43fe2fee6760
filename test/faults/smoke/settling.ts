import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaGroup } from '../../harness/kafka-group.js';
import { type Service, SERVICES } from '../../harness/shop.js';
import { withClient } from '../../harness/servers.js';
import { TOPICS } from './shop-check.js';

/** Where the shop's state is. */
export interface SettlingParts {
  readonly databaseUrls: Readonly<Record<Service, string>>;
  readonly brokers: readonly string[];
}

/** Milliseconds from the end of the load; `undefined` for what has not come at all. */
export interface Settled {
  readonly finalMs: number | undefined;
  readonly atRestMs: number | undefined;
  /** What was not so in time; empty when all was. */
  readonly late: readonly string[];
}

/** After the end everything has to be final, and nothing on its way, within this time. */
export const SETTLE_MS = 30_000;
/** What is late is waited for, so that the rest can be judged. */
export const PATIENCE_MS = 240_000;
const POLL_MS = 50;
const TO_SEND_SQL = `select count(*)::integer as open from millrace.outbox
  where position > coalesce((select min(low) from millrace.ledger), 0)`;
const PENDING_SQL = "select count(*)::integer as open from orders where status = 'pending'";

/** Which topics each service consumes. */
const CONSUMES: Readonly<Record<Service, readonly string[]>> = {
  order: [TOPICS.inventory, TOPICS.payment],
  inventory: [TOPICS.order],
  payment: [TOPICS.order, TOPICS.inventory],
};

/**
 * Waits until no order is pending, and then until nothing is on its way: every event is published, and every consumer
 * has told Kafka that it has applied what there is; each at most `patienceMs` from the end.
 */
export async function settle(parts: SettlingParts, endedMs: number, patienceMs: number): Promise<Settled> {
  const late: string[] = [];
  const tell = async (): Promise<void> => {
    late.push(await openText(parts).catch(String));
  };
  const course = { endedMs, patienceMs, tell };
  const finalMs = await firstTime(course, async () => (await count(parts, 'order', PENDING_SQL)) === 0);
  const atRestMs = await firstTime(course, async () => (await onItsWay(parts)) === '');
  return { finalMs, atRestMs, late };
}

interface Course {
  readonly endedMs: number;
  readonly patienceMs: number;
  /** Called once when it is not so in time. */
  readonly tell: () => Promise<void>;
}

async function firstTime(
  { endedMs, patienceMs, tell }: Course,
  isSo: () => Promise<boolean>,
): Promise<number | undefined> {
  let isTold = false;
  for (;;) {
    // a server that is down is asked again
    const isNow = await isSo().catch(() => false);
    const afterMs = performance.now() - endedMs;
    if (afterMs > SETTLE_MS && !isTold) {
      isTold = true;
      await tell();
    }
    if (isNow || afterMs > patienceMs) {
      return isNow ? afterMs : undefined;
    }
    await sleep(POLL_MS);
  }
}

async function openText(parts: SettlingParts): Promise<string> {
  const pending = await count(parts, 'order', PENDING_SQL);
  return `${pending} orders pending; on its way: ${(await onItsWay(parts)) || 'nothing'}`;
}

async function onItsWay(parts: SettlingParts): Promise<string> {
  const open: string[] = [];
  for (const service of SERVICES) {
    const unsent = await count(parts, service, TO_SEND_SQL);
    open.push(...(unsent === 0 ? [] : [`${unsent} events of ${service} to send`]));
  }
  for (const service of SERVICES) {
    for (const topic of CONSUMES[service]) {
      const lag = await lagOf(parts.brokers, service, topic);
      open.push(...(lag === 0 ? [] : [`${lag} records of ${topic} for ${service}`]));
    }
  }
  return open.join(', ');
}

async function count({ databaseUrls }: SettlingParts, service: Service, sql: string): Promise<number> {
  const { rows } = await withClient(databaseUrls[service], (client) => client.query<{ open: number }>(sql));
  return rows[0]?.open ?? 0;
}

async function lagOf(brokers: readonly string[], group: string, topic: string): Promise<number> {
  const kafkaGroup = new KafkaGroup(brokers, group, topic);
  try {
    return await kafkaGroup.lag();
  } finally {
    await kafkaGroup.close();
  }
}
