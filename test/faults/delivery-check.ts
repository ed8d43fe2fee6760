import { HEADER, routeOfHeader } from '@millrace/events';
import { type ConsumedRecord } from '@millrace/testing';

/** An event that was committed, as the table of its transactions and the outbox tell. */
export interface CommittedEvent {
  readonly id: string;
  readonly key: string;
  /** 1, 2, 3 ... for each key, in the order in which its transactions had the key's lock. */
  readonly version: number;
  readonly position: bigint;
  readonly type: string;
  /** As PostgreSQL prints it. */
  readonly payload: string;
  /** The producer's own. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What the records of a route have in common. */
export interface RouteNames {
  readonly source: string;
  readonly route: string;
}

/** What can be wrong with a history. */
export const PROBLEM_KINDS = [
  'lost',
  'phantom',
  'order',
  'partition',
  'payload',
  'header',
  'low',
  'epoch',
  'unreadable',
] as const;
export type ProblemKind = (typeof PROBLEM_KINDS)[number];

/** One event or record that breaks a promise, named so that it can be found. */
export interface Problem {
  readonly kind: ProblemKind;
  readonly text: string;
}

/** A repeat of an event, and the epochs of the first delivery and of this one. */
export interface Repeat {
  readonly firstEpoch: bigint;
  readonly epoch: bigint;
  /** `topic/partition` of the first delivery, and its offset there. */
  readonly lane: string;
  readonly firstOffset: bigint;
}

/** What the check found. */
export interface DeliveryVerdict {
  readonly delivered: number;
  readonly problems: readonly Problem[];
  readonly repeats: readonly Repeat[];
}

type FirstDelivery = Omit<Repeat, 'epoch'>;

/**
 * Holds the records of a topic, read by an independent consumer, against the events that were committed:
 *
 * - lost: a committed event that is not in the topic; phantom: a record of no committed event
 * - order: the first deliveries of a key are not its versions 1, 2, 3 ... without a hole
 * - partition: a key in two partitions
 * - payload, header: not byte for byte what was committed, or not as the interface says
 * - low: a first delivery at or below a `millrace-low` that its partition has already told, so that a consumer which
 *   forgets what lies below would take it for a repeat; not for an event that tells that it was held
 * - epoch: a first delivery with an older epoch than one before it in its partition: two writers at once
 *
 * Repeats are no problem; they are returned to be counted.
 *
 * `turnOf` is for a topic that has grown: a consumer reads the records of a turn to their end before it reads the next,
 * and a key may have another partition in it. All records are of one turn when it is left out.
 */
export function checkDeliveries(
  committed: readonly CommittedEvent[],
  records: readonly ConsumedRecord[],
  names: RouteNames,
  turnOf: (record: ConsumedRecord) => number = () => 0,
): DeliveryVerdict {
  const check = new DeliveryCheck(committed, names);
  const turns = [...new Set(records.map(turnOf))].sort((a, b) => a - b);
  for (const turn of turns) {
    check.beginTurn();
    for (const record of inLogOrder(records.filter((each) => turnOf(each) === turn))) {
      check.take(record);
    }
  }
  return check.verdict();
}

class DeliveryCheck {
  private readonly committed: ReadonlyMap<string, CommittedEvent>;
  private readonly firsts = new Map<string, FirstDelivery>();
  private readonly lastVersion = new Map<string, number>();
  private readonly partitionOf = new Map<string, number>();
  private readonly lowTold = new Map<number, bigint>();
  private readonly epochSeen = new Map<number, bigint>();
  private readonly problems: Problem[] = [];
  private readonly repeats: Repeat[] = [];
  private delivered = 0;

  constructor(
    committed: readonly CommittedEvent[],
    private readonly names: RouteNames,
  ) {
    this.committed = new Map(committed.map((event) => [event.id, event]));
  }

  /** All of the earlier turns was read; from here on a key may be in another partition. */
  beginTurn(): void {
    this.partitionOf.clear();
  }

  take(record: ConsumedRecord): void {
    this.delivered += 1;
    const where = `${record.topic}/${record.partition} offset ${record.offset}`;
    const id = record.headers['id'] ?? '';
    const event = this.committed.get(id);
    if (event === undefined) {
      this.found('phantom', `${where}: no committed event has its id ${id}`);
      return;
    }
    const numbers = numbersOf(record);
    if (numbers === undefined) {
      this.found('unreadable', `${where}: ${nameOf(event)} has no epoch or low that is a number`);
      return;
    }
    this.checkContent(event, record, where);
    const first = this.firsts.get(event.id);
    if (first === undefined) {
      this.takeFirst(event, { ...numbers, record }, where);
    } else {
      this.repeats.push({ ...first, epoch: numbers.epoch });
    }
    const told = this.lowTold.get(record.partition) ?? -1n;
    this.lowTold.set(record.partition, numbers.low > told ? numbers.low : told);
  }

  verdict(): DeliveryVerdict {
    for (const event of this.committed.values()) {
      if (!this.firsts.has(event.id)) {
        this.found('lost', nameOf(event));
      }
    }
    return { delivered: this.delivered, problems: this.problems, repeats: this.repeats };
  }

  private takeFirst(
    event: CommittedEvent,
    delivery: { readonly record: ConsumedRecord; readonly epoch: bigint; readonly low: bigint },
    where: string,
  ): void {
    const { epoch, low } = delivery;
    const { topic, partition, offset, headers } = delivery.record;
    this.firsts.set(event.id, { firstEpoch: epoch, lane: `${topic}/${partition}`, firstOffset: offset });
    this.checkOrder(event, partition, where);
    const isReleased = HEADER.unparked in headers;
    if (!isReleased && (event.position <= (this.lowTold.get(partition) ?? -1n) || event.position <= low)) {
      this.found('low', `${where}: ${nameOf(event)} lies at or below a low that was told`);
    }
    const newest = this.epochSeen.get(partition) ?? 0n;
    if (epoch < newest) {
      this.found('epoch', `${where}: ${nameOf(event)} first came with epoch ${epoch}, after ${newest}`);
    }
    this.epochSeen.set(partition, epoch > newest ? epoch : newest);
  }

  private checkOrder(event: CommittedEvent, partition: number, where: string): void {
    const expected = (this.lastVersion.get(event.key) ?? 0) + 1;
    if (event.version !== expected) {
      this.found('order', `${where}: ${nameOf(event)} came where version ${expected} should`);
    }
    this.lastVersion.set(event.key, event.version);
    const known = this.partitionOf.get(event.key) ?? partition;
    this.partitionOf.set(event.key, known);
    if (known !== partition) {
      this.found('partition', `${where}: ${nameOf(event)} has a key that was in partition ${known}`);
    }
  }

  private checkContent(event: CommittedEvent, record: ConsumedRecord, where: string): void {
    if (record.value !== event.payload || record.key !== event.key) {
      this.found('payload', `${where}: key or value of ${nameOf(event)} differ from what was committed`);
    }
    const wanted: Readonly<Record<string, string>> = {
      ...event.headers,
      eventType: event.type,
      schemaversion: '1',
      aggregateversion: String(event.version),
      'millrace-source': this.names.source,
      'millrace-route': this.names.route,
      'millrace-position': String(event.position),
    };
    // a shard stands there as a part of its route
    const found = { ...record.headers, 'millrace-route': routeOfHeader(record.headers['millrace-route'] ?? '') };
    const differing = Object.entries(wanted).filter(([name, value]) => Reflect.get(found, name) !== value);
    if (differing.length > 0) {
      this.found(
        'header',
        `${where}: ${nameOf(event)} has other or no headers ${differing.map(([name]) => name).join(', ')}`,
      );
    }
  }

  private found(kind: ProblemKind, text: string): void {
    this.problems.push({ kind, text });
  }
}

function numbersOf({ headers }: ConsumedRecord): { readonly epoch: bigint; readonly low: bigint } | undefined {
  const { 'millrace-epoch': epoch = '', 'millrace-low': low = '' } = headers;
  return /^\d+$/.test(epoch) && /^\d+$/.test(low) ? { epoch: BigInt(epoch), low: BigInt(low) } : undefined;
}

function nameOf(event: CommittedEvent): string {
  return `event ${event.id} (key ${event.key}, version ${event.version}, position ${event.position})`;
}

function inLogOrder(records: readonly ConsumedRecord[]): ConsumedRecord[] {
  return [...records].sort((a, b) => a.partition - b.partition || (a.offset < b.offset ? -1 : 1));
}
