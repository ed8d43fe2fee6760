import { type RelayMember } from '@millrace/capture';

/** How relays share the routes of their sources. Waits are the same for all routes of an engine. */
export interface SharingTuning {
  /** The presence is renewed, and the others are looked at, so often. */
  readonly beatMs: number;
  /** The life of a presence, and of what is known of the others. Shorter than a lease: who is gone is known by its end. */
  readonly presenceTtlMs: number;
  /** For so long a free route is left to the relay that should run it. */
  readonly graceMs: number;
  /** A route moves once another relay should have had it for so long. */
  readonly settlingMs: number;
  /** For so long a relay that was told to step down does not want the route back. */
  readonly declineMs: number;
}

/**
 * The defaults. A killed relay's routes are free when their leases (6 s) end; by then its presence (5 s, seen within
 * 2 s) is over too, and the next one in line asks at once; anybody else 3 s later. Either is within 10 s.
 */
export const DEFAULT_SHARING_TUNING: SharingTuning = {
  beatMs: 2_000,
  presenceTtlMs: 5_000,
  graceMs: 3_000,
  settlingMs: 5_000,
  declineMs: 60_000,
};

/** What is wrong with the waits; empty when nothing is. */
export function sharingProblems(tuning: SharingTuning): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(tuning)) {
    if (!Number.isFinite(value) || value <= 0) {
      problems.push(`sharing.${name} is ${String(value)}; it must be a number above 0`);
    }
  }
  if (tuning.presenceTtlMs < 2 * tuning.beatMs) {
    problems.push(
      `sharing.presenceTtlMs is ${tuning.presenceTtlMs}; it must be at least twice sharing.beatMs (${tuning.beatMs})`,
    );
  }
  return problems;
}

/** Which route is to be placed: every relay with this configuration version counts it by the same number. */
export interface RoutePlace {
  readonly route: string;
  /** The route's place in the configuration, from 0. */
  readonly index: number;
  readonly configVersion: string;
}

/**
 * The relay that should run a route: the routes go around the members in the order in which these joined. Members with
 * another configuration do not count: what they would run may be another thing. `null` without members.
 *
 * Pure, and advice only: two relays with different views both ask, or both wait for a while, and the lease decides.
 */
export function preferredOwner(members: readonly RelayMember[], { index, configVersion }: RoutePlace): string | null {
  const peers = members.filter((member) => member.configVersion === configVersion);
  return peers[index % peers.length]?.owner ?? null;
}

/** The member that has stopped a route until a person resumes it; `null` without one. */
export function stoppedBy(members: readonly RelayMember[], route: string): string | null {
  return members.find(({ stopped }) => stopped.includes(route))?.owner ?? null;
}
