import { Random } from '../ledger/random.js';

/** Where a relay can be stopped: see preload/barriers.ts. */
export const BARRIERS = ['before-ledger', 'mid-page', 'after-ledger'] as const;
export type Barrier = (typeof BARRIERS)[number];

/** What is done to whom. Times in milliseconds; `downMs` is how long the victim stays down, or stands still. */
export type Fault = { readonly atMs: number; readonly downMs: number } & (
  | { readonly kind: 'kill-leader' }
  | { readonly kind: 'kill-standby' }
  | { readonly kind: 'kill-at-barrier'; readonly barrier: Barrier }
  | { readonly kind: 'freeze-leader' }
  | { readonly kind: 'kill-kafka' }
  | { readonly kind: 'kill-postgres' }
);

/** A fault without its times. */
type FaultKind = Exclude<Fault['kind'], 'kill-at-barrier'> | Barrier;

const STEP_MIN_MS = 2_000;
const STEP_SPAN_MS = 3_000;
/** Longer than the lease of a run by default: the other relay takes over, and the frozen one comes back. */
const FREEZE_MIN_MS = 4_000;
const FREEZE_SPAN_MS = 3_000;
/** Each comes once; the rest of the time is filled with kills of the leader and, one in four, of the standby. */
const ONCE: readonly FaultKind[] = ['kill-kafka', 'kill-postgres', 'freeze-leader', ...BARRIERS];
const STANDBY_ODDS = 4;

/** The faults of a run, in time order; the same seed and length give the same schedule. */
export function faultSchedule(seed: number, seconds: number): readonly Fault[] {
  const random = new Random(seed);
  const times: number[] = [];
  for (let atMs = STEP_MIN_MS; atMs < seconds * 1_000; atMs += STEP_MIN_MS + random.below(STEP_SPAN_MS)) {
    times.push(atMs);
  }
  const kinds: FaultKind[] = [...ONCE];
  while (kinds.length < times.length) {
    const isRandomKill = random.isOneIn(2);
    const other = random.isOneIn(STANDBY_ODDS) ? 'kill-standby' : 'kill-leader';
    kinds.push(isRandomKill ? other : (BARRIERS[random.below(BARRIERS.length)] ?? other));
  }
  const shuffled = shuffle(kinds.slice(0, Math.max(times.length, 1)), random);
  return times.map((atMs, index) => toFault(shuffled[index] ?? 'kill-leader', atMs, random));
}

/** What is done to whom, in a few words. */
export function faultName(fault: Fault): string {
  return fault.kind === 'kill-at-barrier' ? `${fault.kind} ${fault.barrier}` : fault.kind;
}

/** One line for the terminal. */
export function faultText(fault: Fault): string {
  const { atMs, downMs } = fault;
  return `${(atMs / 1_000).toFixed(1)} s ${faultName(fault)}, down for ${(downMs / 1_000).toFixed(1)} s`;
}

function toFault(kind: FaultKind, atMs: number, random: Random): Fault {
  switch (kind) {
    case 'kill-kafka':
    case 'kill-postgres':
      return { kind, atMs, downMs: 1_000 + random.below(3_000) };
    case 'freeze-leader':
      return { kind, atMs, downMs: FREEZE_MIN_MS + random.below(FREEZE_SPAN_MS) };
    case 'kill-leader':
    case 'kill-standby':
      return { kind, atMs, downMs: random.below(1_000) };
    case 'before-ledger':
    case 'mid-page':
    case 'after-ledger':
      return { kind: 'kill-at-barrier', atMs, downMs: random.below(1_000), barrier: kind };
  }
}

function shuffle<Item>(items: readonly Item[], random: Random): Item[] {
  const left = [...items];
  const out: Item[] = [];
  while (left.length > 0) {
    out.push(...left.splice(random.below(left.length), 1));
  }
  return out;
}
