import { type ConsumedRecord } from '@millrace/testing';
import { eventsByOrder, type Violation } from './shop-check.js';
import { type ShopState } from './shop-state.js';
import { type ShopTruth } from './shop-truth.js';

/** All that is known of a run when it is over. */
export interface Known {
  readonly truth: ShopTruth;
  readonly state: ShopState;
  readonly records: readonly ConsumedRecord[];
}

const SET_ASIDE = /key ([0-9a-f-]{36}) /;

/** What is known of each order that something is wrong with: its rows, and its events with their places in Kafka. */
export function timelines(violations: readonly Violation[], known: Known): string[] {
  const ids = new Set(
    violations.map(({ orderId, text }) => orderId ?? SET_ASIDE.exec(text)?.[1]).filter((id) => id !== undefined),
  );
  const places = placesOf(known.records);
  const events = eventsByOrder(known.state);
  return [...ids].flatMap((id) => [
    `order ${id}`,
    ...violations.filter(({ orderId }) => orderId === id).map(({ kind, text }) => `  ${kind}: ${text}`),
    `  ${rowsOf(id, known)}`,
    ...moments(id, known, (eventId) => places.get(eventId)?.join(', ') ?? 'NOT IN KAFKA', events.get(id) ?? []),
  ]);
}

function rowsOf(id: string, { truth, state }: Known): string {
  const order = state.orders.find((one) => one.id === id);
  const statuses = {
    order: order?.status,
    reason: order?.reason,
    reservation: state.reservations.find(({ order_id }) => order_id === id)?.status,
    payment: state.payments.find(({ order_id }) => order_id === id)?.status,
    ordered: truth.orders.get(id)?.body,
  };
  return JSON.stringify(statuses);
}

function moments(
  id: string,
  { truth }: Known,
  placeOf: (eventId: string) => string,
  events: NonNullable<ReturnType<ReturnType<typeof eventsByOrder>['get']>>,
): string[] {
  const placed = truth.orders.get(id);
  return [
    ...(placed === undefined ? [] : [{ at: placed.acceptedAt, text: 'accepted' }]),
    ...(placed?.cancels ?? []).map(({ answeredAt, status }) => ({
      at: answeredAt,
      text: `cancellation answered ${status}`,
    })),
    ...events.map((event) => ({
      at: event.occurredAt,
      text: `${event.type} ${event.id} version ${event.version} position ${event.position} by ${event.causedBy ?? 'request'} at ${placeOf(event.id)}`,
    })),
  ]
    .sort((a, b) => a.at.getTime() - b.at.getTime())
    .map(({ at, text }) => `  ${at.toISOString()} ${text}`);
}

function placesOf(records: readonly ConsumedRecord[]): ReadonlyMap<string, string[]> {
  const places = new Map<string, string[]>();
  for (const { headers, topic, partition, offset } of records) {
    const id = headers['id'] ?? '';
    places.set(id, [...(places.get(id) ?? []), `${topic}/${partition}@${offset}`]);
  }
  return places;
}
