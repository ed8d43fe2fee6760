import { type ClaimResult, type SourcePort } from '@millrace/capture';
import { sourceSilent } from './problem.js';
import { type RelayClock } from './relay-clock.js';
import { type Route } from './route-config.js';
import { withDeadline } from './waiting.js';

/** A claim that was granted. */
export type Claimed = Extract<ClaimResult, { kind: 'claimed' }>;

/** Who asks a source for which route. */
export interface ClaimParts {
  readonly source: SourcePort;
  readonly owner: string;
  readonly route: Route;
  readonly clock: RelayClock;
}

/** Asks for the route, bounded by `callDeadlineMs` and by `signal`. */
export async function askForRoute(parts: ClaimParts, graceMs: number, signal: AbortSignal): Promise<ClaimResult> {
  const { source, owner, route, clock } = parts;
  const { name, from, filter, shard, tuning } = route;
  const asked = source.claim({ route: name, owner, ttlMs: tuning.leaseTtlMs, graceMs, from, ...filter, shard });
  const deadline = { clock, ms: tuning.callDeadlineMs, signal, error: sourceSilent };
  try {
    return await withDeadline(asked, deadline);
  } catch (error) {
    // a claim that comes after we gave up on it must not keep the route from others
    asked.then(
      (late) => giveBack(parts, late),
      () => undefined,
    );
    throw error;
  }
}

/** Bounded. When it fails the lease runs out by itself. */
export async function giveBack({ clock, route }: ClaimParts, claim: ClaimResult): Promise<void> {
  const closing = claim.kind === 'claimed' ? claim.capture.close() : closedRepair(claim);
  const deadline = { clock, ms: route.tuning.drainMs, signal: new AbortController().signal, error: sourceSilent };
  await withDeadline(closing, deadline).catch(() => undefined);
}

async function closedRepair(claim: Exclude<ClaimResult, Claimed>): Promise<void> {
  if (claim.kind === 'forked') {
    await claim.repair.close();
  }
}
