import { type Repeat } from '../delivery-check.js';

/** What a run knows of the claims of its route. */
export interface ClaimHistory {
  /** Where the relay of an epoch was killed; absent for a claim that ended in another way. */
  readonly killedAt: ReadonlyMap<bigint, string>;
  /** Where a lane ended when the owner of an epoch read it, before he sent anything there. */
  readTo(epoch: bigint, lane: string): bigint | undefined;
  /** Batches are numbered, so that the brokers store once what one relay sends again. */
  readonly isNumbered: boolean;
}

/** Why an event came again, and whether it should not have, by what is promised. */
export interface RepeatCause {
  readonly text: string;
  readonly isBroken: boolean;
}

/**
 * One copy is promised of what stood in its lane when the next owner read the end of it. What a dead relay's request
 * brought later is counted only. The epoch grows with each take-over.
 */
export function repeatCause({ epoch, firstEpoch, lane, firstOffset }: Repeat, claims: ClaimHistory): RepeatCause {
  if (epoch === firstEpoch) {
    return { text: 'sent again by the same relay', isBroken: claims.isNumbered };
  }
  const dead = epoch < firstEpoch ? epoch : firstEpoch;
  const place = claims.killedAt.get(dead);
  const how = place === undefined ? 'of a relay that lost its lease' : `of a relay killed ${place}`;
  const end = claims.readTo(epoch, lane);
  if (epoch > firstEpoch && end === undefined) {
    return { text: `sent again unread, ${how}`, isBroken: true };
  }
  return epoch > firstEpoch && firstOffset < (end ?? 0n)
    ? { text: `stood there when the next owner looked, ${how}`, isBroken: true }
    : { text: `stored after the next owner had looked, ${how}`, isBroken: false };
}
