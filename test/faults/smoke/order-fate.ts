/** One committed event of an order, of whichever service. */
export interface StoryEvent {
  readonly id: string;
  readonly aggregatetype: string;
  readonly type: string;
  readonly version: number;
  /** The event that made the service act; `undefined` for what a request did. */
  readonly causedBy: string | undefined;
}

/** What the three databases hold of one order; `undefined` where a service has no row. */
export interface OrderStory {
  readonly order: { readonly status: string; readonly reason: string | null; readonly isRefundRequested: boolean };
  readonly reservation: string | undefined;
  readonly payment: string | undefined;
  /** Of each service in the order of their positions. */
  readonly events: readonly StoryEvent[];
}

/** What the customer was told. */
export interface CustomerStory {
  readonly isCancelTaken: boolean;
}

interface Fate {
  readonly status: string;
  readonly isRefundRequested: boolean;
  readonly reservation: string;
  readonly payment: string | undefined;
  readonly events: Readonly<Record<Aggregate, readonly string[]>>;
}

const AGGREGATES = ['order', 'stock', 'payment'] as const;
type Aggregate = (typeof AGGREGATES)[number];

const RETURNED = ['stock.reserved', 'stock.released'];

/** All that can become of an order, in full: anything else is wrong. */
export const FATES = {
  confirmed: {
    status: 'confirmed',
    isRefundRequested: false,
    reservation: 'sold',
    payment: 'captured',
    events: {
      order: ['order.placed', 'order.confirmed'],
      stock: ['stock.reserved', 'stock.sold'],
      payment: ['payment.captured'],
    },
  },
  'rejected: no stock': {
    status: 'rejected',
    isRefundRequested: false,
    reservation: 'refused',
    payment: undefined,
    events: { order: ['order.placed', 'order.rejected'], stock: ['stock.refused'], payment: [] },
  },
  'rejected: no money': {
    status: 'rejected',
    isRefundRequested: false,
    reservation: 'released',
    payment: 'declined',
    events: { order: ['order.placed', 'order.rejected'], stock: RETURNED, payment: ['payment.declined'] },
  },
  'cancelled: had no stock': {
    status: 'cancelled',
    isRefundRequested: false,
    reservation: 'refused',
    payment: undefined,
    events: { order: ['order.placed', 'order.cancelled'], stock: ['stock.refused'], payment: [] },
  },
  'cancelled before the charge': {
    status: 'cancelled',
    isRefundRequested: false,
    reservation: 'released',
    payment: 'declined',
    events: { order: ['order.placed', 'order.cancelled'], stock: RETURNED, payment: ['payment.declined'] },
  },
  'cancelled after the charge': {
    status: 'cancelled',
    isRefundRequested: true,
    reservation: 'released',
    payment: 'refunded',
    events: {
      order: ['order.placed', 'order.cancelled', 'order.refund-requested'],
      stock: RETURNED,
      payment: ['payment.captured', 'payment.refunded'],
    },
  },
} as const satisfies Readonly<Record<string, Fate>>;

/** What became of an order. */
export type FateName = keyof typeof FATES;

/** Which events can make a service publish one; none: only a request can. */
const CAUSES: Readonly<Record<string, readonly string[]>> = {
  'order.placed': [],
  'order.cancelled': [],
  'order.confirmed': ['payment.captured'],
  'order.rejected': ['stock.refused', 'payment.declined'],
  'order.refund-requested': ['payment.captured'],
  'stock.reserved': ['order.placed'],
  'stock.refused': ['order.placed'],
  'stock.sold': ['order.confirmed'],
  'stock.released': ['order.rejected', 'order.cancelled'],
  'payment.captured': ['stock.reserved'],
  'payment.declined': ['stock.reserved'],
  'payment.refunded': ['order.refund-requested'],
};

/** The fate that an order's events tell, if there is such a one. */
export function fateOf(events: readonly StoryEvent[]): FateName | undefined {
  const told = chainOf(typesOf(events));
  return fateNames().find((name) => chainOf(FATES[name].events) === told);
}

/** Every way in which an order's story is not one of those that can be; empty when it is. */
export function storyProblems(story: OrderStory, { isCancelTaken }: CustomerStory): readonly string[] {
  const name = fateOf(story.events);
  if (name === undefined) {
    const state = `order ${story.order.status}, reservation ${story.reservation ?? 'none'}, payment ${story.payment ?? 'none'}`;
    return [`no order can have the events ${chainOf(typesOf(story.events))} (${state})`];
  }
  const { order, reservation, payment } = story;
  const fate: Fate = FATES[name];
  const checks: readonly (readonly [string, unknown, unknown])[] = [
    ['order', order.status, fate.status],
    ['refund requested', order.isRefundRequested, fate.isRefundRequested],
    ['reservation', reservation, fate.reservation],
    ['payment', payment, fate.payment],
    ['accepted cancellation', isCancelTaken, fate.status === 'cancelled'],
  ];
  return [
    ...checks
      .filter(([, seen, wanted]) => seen !== wanted)
      .map(([what, seen, wanted]) => `${name}, but ${what} is ${String(seen)} and not ${String(wanted)}`),
    ...versionProblems(story.events),
    ...causeProblems(story.events),
  ];
}

function fateNames(): FateName[] {
  // the keys of a constant of this file
  return Object.keys(FATES) as FateName[];
}

function typesOf(events: readonly StoryEvent[]): Record<Aggregate, readonly string[]> {
  const of = (aggregate: Aggregate): string[] =>
    events.filter(({ aggregatetype }) => aggregatetype === aggregate).map(({ type }) => type);
  return { order: of('order'), stock: of('stock'), payment: of('payment') };
}

function chainOf(types: Readonly<Record<Aggregate, readonly string[]>>): string {
  return AGGREGATES.map((aggregate) => types[aggregate].join(' > ') || '-').join(' | ');
}

/** 1, 2, 3 ... in the order of the positions. */
function versionProblems(events: readonly StoryEvent[]): string[] {
  return AGGREGATES.flatMap((aggregate) =>
    events
      .filter(({ aggregatetype }) => aggregatetype === aggregate)
      .filter(({ version }, index) => version !== index + 1)
      .map(({ type, version }) => `${type} has version ${version} in the wrong place`),
  );
}

/** Each event has a cause that can be one, and no cause made the same service act twice. */
function causeProblems(events: readonly StoryEvent[]): string[] {
  const types = new Map(events.map(({ id, type }) => [id, type]));
  const acted = new Set<string>();
  return events.flatMap(({ type, aggregatetype, causedBy }) => {
    const allowed = CAUSES[type] ?? [];
    if (causedBy === undefined) {
      return allowed.length === 0 ? [] : [`${type} was caused by no event`];
    }
    const cause = types.get(causedBy) ?? 'an event of another order';
    const effect = `${aggregatetype} of ${causedBy}`;
    const isSecond = acted.has(effect);
    acted.add(effect);
    return [
      ...(allowed.includes(cause) ? [] : [`${type} was caused by ${cause}`]),
      ...(isSecond ? [`${cause} made the service of ${aggregatetype} act twice`] : []),
    ];
  });
}
