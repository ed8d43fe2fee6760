import { type SinkLane, type SinkRecord } from '@millrace/transport';
import { type PoisonPlan } from './poison.js';
import { type SimDatabase, type TrueEvent } from './sim-database.js';
import { type LoggedRecord, readRecord, type SimKafka } from './sim-kafka.js';
import { type SendWatch } from './sim-sink.js';

/** A rule that the relay must never break was broken. */
export class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken';
}

interface OpenSend {
  readonly ids: string;
  readonly epoch: bigint;
}

/** A pause mark is seen at the latest when the lease has to be renewed: its life less the margin, and slow clocks. */
const PAUSE_SEEN_AFTER_MS = 8_500;

/** What a history looks at. */
export interface HistoryParts {
  readonly route: string;
  readonly database: SimDatabase;
  readonly kafka: SimKafka;
  /** Absent: nothing is held. */
  readonly holding?: Pick<PoisonPlan, 'onPoison' | 'heldEventsMax'> & { readonly inFlightMax: number };
  /** Rules that are not looked at. */
  readonly blindTo: readonly string[];
}

/**
 * Sees all that is sent, stored and settled at the moment at which it happens in true time, and remembers the first
 * rule that was broken.
 */
export class History implements SendWatch {
  broken: InvariantBroken | null = null;
  sends = 0;
  private readonly route: string;
  private readonly database: SimDatabase;
  private readonly kafka: SimKafka;
  private readonly holding: HistoryParts['holding'];
  private readonly blindTo: ReadonlySet<string>;
  private readonly inFlight = new Map<string, OpenSend>();
  private readonly unknown = new Map<string, OpenSend>();
  /** What a process was told to be stored, by process and epoch. */
  private readonly stored = new Map<string, Set<string>>();
  /** By epoch: of each partition. */
  private readonly lengthsAtClaim = new Map<bigint, readonly number[]>();

  constructor(parts: HistoryParts) {
    const { route, database, kafka, holding, blindTo } = parts;
    this.route = route;
    this.database = database;
    this.kafka = kafka;
    this.holding = holding;
    this.blindTo = new Set(blindTo);
    database.claimWatch = (epoch) => {
      this.lengthsAtClaim.set(
        epoch,
        kafka.logs.map(({ length }) => length),
      );
    };
    kafka.storeWatch = (record) => {
      this.checkOrder(record);
    };
    database.ledgerWatch = (isSettled, byEpoch) => {
      this.ledgerWritten(isSettled, byEpoch);
    };
  }

  sending(process: string, lane: SinkLane, records: readonly SinkRecord[]): void {
    this.sends += 1;
    const logged = records.map(readRecord);
    const epoch = logged[0]?.epoch ?? 0n;
    const stream = `${process} ${lane.id}`;
    const send = { ids: logged.map(({ id }) => id).join(' '), epoch };
    this.rule('one send in flight per lane', !this.inFlight.has(stream), `${stream} sends ${send.ids}`);
    this.rule(
      'single writer',
      epoch === this.database.epochOf(this.route) || process === this.database.claimedBy(this.route),
      `${process} sends ${send.ids} under epoch ${epoch} while the ledger has epoch ${this.database.epochOf(this.route)}`,
    );
    const before = this.unknown.get(stream);
    this.rule(
      'the same records again',
      before?.epoch !== epoch || before.ids === send.ids,
      `${stream} sends ${send.ids} after ${before?.ids ?? ''} had no answer`,
    );
    const pausedMs = this.database.pausedForMs(this.route);
    this.rule('a paused route sends nothing', pausedMs < PAUSE_SEEN_AFTER_MS, `${stream}, paused for ${pausedMs} ms`);
    for (const record of logged) {
      this.checkLow(record);
      this.checkCopy(record, lane.partition);
      this.checkOnce(process, record);
    }
    this.unknown.delete(stream);
    this.inFlight.set(stream, send);
  }

  ended(process: string, lane: SinkLane, outcome: 'stored' | 'refused' | 'unknown'): void {
    const stream = `${process} ${lane.id}`;
    const send = this.inFlight.get(stream);
    this.inFlight.delete(stream);
    if (outcome === 'unknown' && send !== undefined) {
      this.unknown.set(stream, send);
    } else if (outcome === 'stored' && send !== undefined) {
      const known = `${process} ${send.epoch}`;
      this.stored.set(known, new Set([...(this.stored.get(known) ?? []), ...send.ids.split(' ')]));
    }
  }

  /** Remembers the first broken rule. */
  rule(name: string, holds: boolean, what: string): void {
    if (!holds && !this.blindTo.has(name)) {
      this.broken ??= new InvariantBroken(`${name}: ${what}`);
    }
  }

  /** What can be said when nothing goes on any more. */
  checkLogs(): void {
    const truth = new Map(this.database.truth.map((event) => [event.id, event]));
    for (const log of this.kafka.logs) {
      for (const record of log) {
        const event = truth.get(record.id);
        this.rule(
          'no phantom',
          event?.position === record.position && event.key === record.key,
          `${record.id} is in the topic but not in the outbox`,
        );
      }
    }
  }

  private ledgerWritten(isSettled: (position: bigint) => boolean, byEpoch: bigint): void {
    this.rule(
      'an old epoch never moves the ledger',
      byEpoch === this.database.epochOf(this.route),
      `epoch ${byEpoch} wrote`,
    );
    for (const event of this.database.truth) {
      this.rule(
        'settled after it was stored',
        !isSettled(event.position) || this.kafka.published.has(event.id) || this.isSetAside(event),
        `${event.id} is lost`,
      );
    }
    if (this.holding !== undefined && this.holding.onPoison !== 'skip') {
      const { heldEventsMax, inFlightMax } = this.holding;
      const { events } = this.database.held;
      this.rule('held within limits', events < heldEventsMax + inFlightMax, `${events} events are held`);
    }
  }

  /** It is in the tables of what is held, or was given up by a person. */
  private isSetAside({ position, id }: TrueEvent): boolean {
    const { rows, fates } = this.database.held;
    return rows.get(position)?.id === id || fates.get(id) === 'discarded';
  }

  /** No event enters the topic for the first time before all earlier ones of its key have, but for those that were left out. */
  private checkOrder({ id, key, version }: LoggedRecord): void {
    if (this.kafka.published.has(id)) {
      return;
    }
    for (const event of this.database.truth) {
      if (event.key === key && event.version < version && !this.mayFollow(event)) {
        const isHeld = this.database.held.rows.has(event.position) ? 'held' : 'not published';
        this.rule(
          'order per key',
          false,
          `${id}, version ${version} of ${key}, is stored while ${event.id} is ${isHeld}`,
        );
      }
    }
  }

  /** Later events of its key may be published, whatever becomes of it. */
  private mayFollow({ id }: TrueEvent): boolean {
    const { fates } = this.database.held;
    const isSkipped = this.holding?.onPoison === 'skip' && (fates.get(id) === 'left out' || this.kafka.refused.has(id));
    return this.kafka.published.has(id) || fates.get(id) === 'discarded' || isSkipped;
  }

  /** What the sink has confirmed is not sent again by the claim that was told. */
  private checkOnce(process: string, { id, epoch }: LoggedRecord): void {
    this.rule('sent once', this.stored.get(`${process} ${epoch}`)?.has(id) !== true, `${process} sends ${id} again`);
  }

  /** Whoever takes the route over finds what stood there when he won it. */
  private checkCopy({ id, epoch }: LoggedRecord, partition: number): void {
    const before = this.kafka.logs[partition]?.slice(0, this.lengthsAtClaim.get(epoch)?.[partition] ?? 0) ?? [];
    this.rule(
      'one copy',
      !before.some((record) => record.id === id),
      `${id} is sent under epoch ${epoch} and stood in partition ${partition} when that began`,
    );
  }

  /** Consumers forget what lies at or below `low`: it must all have been stored before, or be set aside. */
  private checkLow({ low, id, position, headers }: LoggedRecord): void {
    for (const event of this.database.truth) {
      if (event.position > low) {
        break;
      }
      this.rule(
        'low is true',
        this.kafka.published.has(event.id) || this.isSetAside(event),
        `${id} says low ${low}, ${event.id} was not sent yet`,
      );
    }
    const saysSo = position > low || headers.has('millrace-unparked');
    this.rule('what comes below the floor says so', saysSo, `${id} at ${position} says low ${low}`);
  }
}
