import { type ChainEvent, type ClaimedHeld, type HeldChanges, type Refusal } from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { type SinkLane } from '@millrace/transport';
import { type Address, type EventAddresses } from '../event-addresses.js';
import { laneItem, type LaneItem } from '../lane.js';
import { type LaneSender } from '../lane-sender.js';
import { type PageInFlight } from '../page-in-flight.js';
import { type RelayClock, type RelayRandom } from '../relay-clock.js';
import { type Route } from '../route-config.js';
import { type RouteMeter } from '../route-meter.js';
import { type RouteProblem } from '../route-state.js';
import { type Arrival, type EventIdentity, type HeldKey, type HeldSummary } from './held-key.js';
import { HeldKeys } from './held-keys.js';

/** Keys of which one event each is tried by one reading. */
const TRIALS_MAX = 50;
const TRIAL = { eventsMax: 1, bytesMax: 1 };
/** How much of a chain that flows comes with one reading. */
const FLOW = { eventsMax: 500, bytesMax: 1024 * 1024 };

/** What the holds of a claim work with. */
export interface RouteHoldsParts {
  readonly route: Route;
  readonly clock: RelayClock;
  readonly random: RelayRandom;
  readonly meter: RouteMeter;
  readonly addresses: EventAddresses;
  readonly sender: LaneSender;
  /** Absent: nothing can be held. */
  readonly held: ClaimedHeld | undefined;
}

/**
 * The events of a claim that are held. An event that is refused for good is set aside, with all later ones of its key that
 * no batch has yet, and every further one joins them. Chains are tried again when they are due, from their first event on,
 * through the lanes, while arrivals still join; when a chain is empty, what has come meanwhile and is still in memory goes
 * on directly, and the key is free.
 *
 * Between the writes of the ledger `read` may be called; then what is in memory and what is stored are all there is.
 */
export class RouteHolds {
  private readonly keys: HeldKeys;
  private revision: bigint;
  /** As of the last reading of the keys. */
  private knownRevision: bigint;
  private isStale = false;
  private isClosed = false;

  constructor(private readonly parts: RouteHoldsParts) {
    const { route, held } = parts;
    const { onPoison: policy, held: tuning, shard } = route;
    this.keys = new HeldKeys({ ...parts, policy, tuning, isShard: shard.count > 1 });
    this.revision = held?.revision ?? 0n;
    this.knownRevision = this.revision;
    this.keys.load(held?.stored ?? []);
  }

  /** An event that is refused for good can be set aside. */
  get canHold(): boolean {
    return this.parts.held !== undefined;
  }

  /** Too much is held: nothing more should be read. */
  get isFull(): boolean {
    return this.keys.isFull;
  }

  /** Why nothing more is read; `null`: it is. */
  get problem(): RouteProblem | null {
    const { eventsMax, bytesMax } = this.parts.route.held;
    const { events, bytes } = this.keys;
    return this.keys.isFull
      ? {
          side: 'relay',
          code: 'held_limit',
          message:
            `${events} events are held with ${bytes} bytes; ${eventsMax} and ${bytesMax} is the most. Nothing more is read until ` +
            'there are fewer: mend what the sink refuses them for, or discard them.',
        }
      : null;
  }

  get summary(): HeldSummary {
    return this.keys.summary;
  }

  /** The sink has refused a queued event. False: it cannot be set aside. */
  poisoned(lane: SinkLane, item: LaneItem, refusal: Refusal): boolean {
    if (!this.canHold) {
      return false;
    }
    const { page } = item;
    if (page === null) {
      this.refusedAgain(item, refusal);
    } else {
      this.setAside(item, refusal, this.arrival(lane, item, page));
    }
    return true;
  }

  /** The sink has confirmed an event that was held. */
  released(item: LaneItem): void {
    this.keys.confirmed(item);
  }

  /** What the ledger said of it at its last write. */
  sawRevision(revision: bigint | undefined): void {
    if (revision !== undefined && revision !== this.revision) {
      this.revision = revision;
      this.isStale = true;
    }
  }

  /** A write of the ledger is due although no page is. */
  get wantsWrite(): boolean {
    return this.keys.hasLooseChanges;
  }

  /** For a write that settles all up to page `through`. */
  takeChanges(through: number): HeldChanges | undefined {
    const changes = this.keys.takeChanges(through);
    return changes === undefined ? undefined : { revision: this.knownRevision, ...changes };
  }

  /** What should be read now; `null`: nothing. What it returns rejects with `CaptureError`. */
  nextRead(): (() => Promise<void>) | null {
    const { held, clock } = this.parts;
    if (held === undefined || this.isClosed || this.wantsWrite) {
      return null;
    }
    if (this.isStale) {
      return async () => {
        const { revision } = this;
        this.isStale = false;
        this.keys.load(await held.keys());
        this.knownRevision = revision;
      };
    }
    const due = this.keys.due(clock.monotonicMs(), TRIALS_MAX);
    return due.length === 0 ? null : () => this.readChains(held, due);
  }

  /** Nothing more is sent. */
  close(): void {
    this.isClosed = true;
  }

  private async readChains(held: ClaimedHeld, due: readonly HeldKey[]): Promise<void> {
    const isFlow = due[0]?.isFlowing === true;
    const limits = isFlow ? FLOW : TRIAL;
    const chains = new Map<HeldKey, ChainEvent[]>(due.map((key) => [key, []]));
    for (const event of await held.chains({ keys: due, ...limits })) {
      const key = this.keys.find(event);
      (key === undefined ? undefined : chains.get(key))?.push(event);
    }
    if (this.isClosed) {
      return;
    }
    for (const [key, chain] of chains) {
      if (chain.length === 0) {
        this.keys.close(key);
      } else {
        this.keys.setOff(key, chain);
        void this.move(key, chain);
      }
    }
    this.parts.sender.flush();
  }

  /** Puts the events of a chain into their lanes, up to the first one that cannot be. */
  private async move(key: HeldKey, chain: readonly ChainEvent[]): Promise<void> {
    this.parts.addresses.forgetRefused();
    const areOpen = await this.openTopics(chain);
    if (this.isClosed) {
      return;
    }
    if (!areOpen) {
      this.keys.postpone(key, this.parts.route.tuning.topicRetryMs);
      return;
    }
    for (const event of chain) {
      if (!this.pushed(key, event)) {
        break;
      }
    }
    this.parts.sender.flush();
  }

  /** False: one of them cannot be opened now. */
  private async openTopics(chain: readonly ChainEvent[]): Promise<boolean> {
    const { addresses } = this.parts;
    for (const { event } of chain) {
      const topic = event === null ? null : addresses.topicToOpen(event);
      const opening = topic === null ? null : await addresses.open(topic);
      if (opening?.kind === 'later' || opening?.kind === 'stop') {
        return false;
      }
    }
    return true;
  }

  /** False: this one is not on its way, and so none behind it may be. */
  private pushed(key: HeldKey, { event, ...identity }: ChainEvent): boolean {
    if (event === null) {
      this.stopAt(key, identity);
      this.keys.park(key, {
        code: 'event_gone',
        reason: `Event ${identity.id} has no row in the outbox any more and no copy was kept. Discard it.`,
      });
      return false;
    }
    const address = this.parts.addresses.of(event, true);
    if (address.kind === 'other-shard') {
      this.keys.forget(key);
      return false;
    }
    key.isOwn = true;
    if (key.dueAtMs === null || key.dueAtMs > this.parts.clock.monotonicMs()) {
      // it was looked at to learn whose it is
      key.moving.clear();
      return false;
    }
    if (address.kind === 'refused') {
      this.stopAt(key, identity);
      this.refusedAgain(identity, refusalOf(address.problem));
      return false;
    }
    key.isTrying = true;
    this.parts.sender.push(address.lane, laneItem(event, address.encoded, null));
    return true;
  }

  /** What lies behind it does not move. */
  private stopAt(key: HeldKey, { position }: Pick<ChainEvent, 'position'>): void {
    for (const each of key.moving) {
      if (each >= position) {
        key.moving.delete(each);
      }
    }
  }

  private refusedAgain(event: EventIdentity, refusal: Refusal): void {
    this.tell(event, refusal, true);
    if (this.keys.refuseAgain(event, refusal)) {
      this.sweep(event);
    }
  }

  private setAside(
    event: EventIdentity,
    refusal: Refusal,
    { page, letGo }: { readonly page: PageInFlight; readonly letGo: () => void },
  ): void {
    this.tell(event, refusal, false);
    if (this.keys.refuse({ event, page, letGo }, refusal)) {
      this.sweep(event);
    }
  }

  private tell({ position, id }: EventIdentity, refusal: Refusal, isAgain: boolean): void {
    this.parts.meter.eventRefused({ position, id, refusal, policy: this.parts.route.onPoison, isAgain });
  }

  /** Whatever later event of its key is queued joins the chain, or is in it and goes back. */
  private sweep({ aggregateType, aggregateId, position }: EventIdentity): void {
    const swept = this.parts.sender.sweep(
      (item) => item.aggregateId === aggregateId && item.aggregateType === aggregateType && item.position > position,
    );
    for (const { lane, item } of swept) {
      const { page } = item;
      if (page === null) {
        this.keys.find(item)?.moving.delete(item.position);
      } else {
        this.keys.join(this.arrival(lane, item, page));
      }
    }
  }

  private arrival(lane: SinkLane, item: LaneItem, page: PageInFlight): Arrival {
    const letGo = (): void => {
      if (this.keys.has(item)) {
        this.keys.join({ event: item, page, letGo });
      } else {
        this.parts.sender.push(lane, item);
      }
    };
    return { event: item, page, letGo };
  }

  /** Puts an event of a page on its way, or where it belongs. */
  place(event: OutboxEvent, address: Address, page: PageInFlight): void {
    if (address.kind === 'lane' && !this.keys.has(event)) {
      this.parts.sender.push(address.lane, laneItem(event, address.encoded, page));
    } else if (address.kind !== 'other-shard') {
      this.keep(event, address, page);
    }
  }

  private keep(event: OutboxEvent, address: Exclude<Address, { kind: 'other-shard' }>, page: PageInFlight): void {
    const bytes = address.kind === 'lane' ? address.encoded.bytes : Buffer.byteLength(event.payload);
    const letGo = (): void => {
      this.place(event, this.parts.addresses.of(event), page);
    };
    const arrival = { event: identityOf(event, bytes), page, letGo };
    if (this.keys.has(event)) {
      this.keys.join(arrival);
    } else if (address.kind === 'refused') {
      this.setAside(arrival.event, refusalOf(address.problem), arrival);
    }
  }
}

function refusalOf({ code, message }: RouteProblem): Refusal {
  return { code, reason: message };
}

function identityOf({ position, id, aggregateType, aggregateId }: OutboxEvent, bytes: number): EventIdentity {
  return { position, id, aggregateType, aggregateId, bytes };
}
