import { type JoinRequest, type RelayMember } from '@millrace/capture';
import { type VirtualTime } from './virtual-time.js';

interface Presence {
  readonly request: JoinRequest;
  readonly joinedAtMs: number;
  readonly seenAtMs: number;
  readonly expiresMs: number;
}

/** Who works on the database, as it tells on its own clock. */
export class SimMembers {
  private readonly present = new Map<string, Presence>();

  constructor(private readonly time: VirtualTime) {}

  join(request: JoinRequest): readonly RelayMember[] {
    const { nowMs } = this.time;
    const before = this.present.get(request.owner);
    const joinedAtMs = before !== undefined && before.expiresMs >= nowMs ? before.joinedAtMs : nowMs;
    this.present.set(request.owner, { request, joinedAtMs, seenAtMs: nowMs, expiresMs: nowMs + request.ttlMs });
    return [...this.present.values()]
      .filter(({ expiresMs }) => expiresMs >= nowMs)
      .sort((a, b) => a.joinedAtMs - b.joinedAtMs || (a.request.owner < b.request.owner ? -1 : 1))
      .map(({ request: { owner, configVersion, wants, stopped }, joinedAtMs: since, seenAtMs }) => ({
        owner,
        configVersion,
        wants,
        stopped,
        memberForMs: seenAtMs - since,
      }));
  }

  leave(owner: string): void {
    this.present.delete(owner);
  }
}
