import { type Position } from '@millrace/events';
import { type CaptureChange } from './capture-observer.js';
import { type CapturePort, type SettleResult, type SlotStatus } from './capture-port.js';
import { CaptureError } from './capture.errors.js';
import {
  type OutboxReaderPort,
  type OutboxWriters,
  type PollRequest,
  type PollResult,
  type SequenceReading,
} from './outbox-reader.js';
import { type PgConnection } from './pg-connection.js';
import { type DrainedShard, PgRouteShards } from './pg-route-shards.js';
import { type SlotKeeper } from './slot/slot-keeper.js';
import { describeKeeper, type SlotKeeperState } from './slot/slot-keeper-state.js';
import { keptSlotStatus } from './slot/slot-watch.js';

/** Reads gaps and nothing above `high`, which stands at the fence. */
export class FencedReader implements OutboxReaderPort {
  constructor(private readonly reader: OutboxReaderPort) {}

  poll(request: PollRequest): Promise<PollResult> {
    return this.reader.poll({ ...request, reach: request.above === null ? null : 0n });
  }

  flushedLsn(): Promise<bigint> {
    return this.reader.flushedLsn();
  }

  forceFlush(): Promise<void> {
    return this.reader.forceFlush();
  }

  writers(): Promise<OutboxWriters> {
    return this.reader.writers();
  }

  sequence(): Promise<SequenceReading> {
    return this.reader.sequence();
  }

  ensureLeaves(): Promise<void> {
    return this.reader.ensureLeaves();
  }

  close(): Promise<void> {
    return this.reader.close();
  }
}

/** A shard whose route is about to get another number of shards. */
export interface DrainingParts extends DrainedShard {
  /** Hands out nothing above the fence. */
  readonly capture: CapturePort;
  readonly fence: Position;
  /** That of the ledger. */
  readonly connection: PgConnection;
  /** Of the slot that the shard may have had; there may be no such shard afterwards. */
  readonly keeper: Pick<SlotKeeper, 'letGo' | 'state' | 'close'>;
}

/**
 * The last claim of a shard: settles what lies at or below the fence, lets its slot go, waits for the other shards, and
 * ends with `fenced` when the new ones are there. Whoever is the last to be done, after a write of its own ledger, makes
 * the new ones.
 */
export function drainingCapture({ capture, fence, connection, keeper, ...shard }: DrainingParts): CapturePort {
  const shards = new PgRouteShards(connection);
  const isDone = (): boolean => capture.status().low >= fence && keeper.state.kind === 'let-go';
  const afterwards = async (written: Promise<SettleResult>): Promise<SettleResult> => {
    const result = await written;
    const count = isDone() ? await shards.drained(shard) : null;
    if (count !== null) {
      throw new CaptureError('fenced', `Route ${shard.route} has ${String(count)} shards now.`);
    }
    return result;
  };
  keeper.letGo('The number of shards changes: the route is captured by polling meanwhile.');
  return {
    nextPage: () => capture.nextPage(),
    settle: (page, notes) => afterwards(capture.settle(page, notes)),
    renew: (notes) => afterwards(capture.renew(notes)),
    isSettled: (position) => capture.isSettled(position),
    status: () => ({ ...capture.status(), slot: slotOf(keeper.state) }),
    close: async () => {
      await Promise.all([keeper.close(), capture.close()]);
    },
  };
}

/** What its keeper has to tell while a shard drains; `null`: nothing that anybody has to know, as that the claim is over. */
export function drainingNews(
  state: SlotKeeperState,
): Pick<CaptureChange, 'reading' | 'slot' | 'message' | 'isWarning'> | null {
  return state.kind === 'failed' && state.retryInMs !== null
    ? {
        reading: 'table',
        slot: state.kind,
        message: `The change of shards waits for the slot of the shard. ${describeKeeper(state)}`,
        isWarning: true,
      }
    : null;
}

/** `null`: there is none any more. */
function slotOf(state: SlotKeeperState): SlotStatus | null {
  return state.kind === 'let-go' ? null : keptSlotStatus(state);
}
