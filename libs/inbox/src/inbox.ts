import { type DataSource } from 'typeorm';
import { addStreams, claim, type Finding, StreamUnknown } from './claim.js';
import { HeldChains } from './held-chains.js';
import { PROBE } from './held-chain.sql.js';
import { withoutPlace } from './held-record.js';
import { InboxError } from './inbox.errors.js';
import {
  type Arrival,
  type Handle,
  type HoldVerdict,
  type InboxPort,
  type JudgeRetry,
  type Outcome,
  type PartitionProgress,
  type ReleaseReport,
} from './inbox-port.js';
import { InboxProgress } from './inbox-progress.js';
import { inTransaction, type InboxTransaction, runStatement } from './inbox-transaction.js';
import { failureCodeOf } from './retry-policy.js';

/** What an inbox needs. */
export interface InboxOptions {
  /** The consumer's name; part of every row, so that several consumers can share a database. */
  readonly consumer: string;
  /** Initialized, with limits as `requireInboxDatabase` demands; the inbox never closes it. */
  readonly dataSource: DataSource;
}

/** The verdict when class 22 says that no column takes what is known of a record. */
const NOT_STORABLE: HoldVerdict = {
  kind: 'parked',
  code: 'not_storable',
  reason:
    'The database refused what is known of the record (class 22). Its bytes are kept, its position and time are not. ' +
    'Correct the producer, then discard it and publish the event anew.',
};

/** The inbox in PostgreSQL: schema `millrace` of the consumer's own database. Keeps nothing in memory that matters. */
export class Inbox implements InboxPort {
  private readonly consumer: string;
  private readonly dataSource: DataSource;
  private readonly chains: HeldChains;
  private readonly progress: InboxProgress;

  constructor({ consumer, dataSource }: InboxOptions) {
    this.consumer = consumer;
    this.dataSource = dataSource;
    this.chains = new HeldChains(dataSource, consumer);
    this.progress = new InboxProgress(dataSource, consumer);
  }

  async apply(arrivals: readonly Arrival[], handle: Handle): Promise<readonly Outcome[]> {
    if (arrivals.length === 0) {
      return [];
    }
    return await this.withClaims(arrivals, async (transaction, findings) => {
      const outcomes: Outcome[] = [];
      for (const [index, arrival] of arrivals.entries()) {
        outcomes.push(await this.applyOne(transaction, arrival, findings[index] ?? 'duplicate', handle));
      }
      return outcomes;
    });
  }

  /** What the database refuses is parked without it: until it is set aside, its partition stands still. */
  async hold(arrival: Arrival, verdict: HoldVerdict): Promise<Outcome> {
    try {
      return await this.setAside(arrival, verdict);
    } catch (error) {
      if (failureCodeOf(error) !== 'data_refused') {
        throw error;
      }
      return await this.setAside(withoutPlace(arrival), NOT_STORABLE);
    }
  }

  async openPartition(topic: string, partition: number): Promise<PartitionProgress> {
    return await this.progress.read(topic, partition);
  }

  async saveProgress(progress: readonly PartitionProgress[]): Promise<void> {
    await this.progress.save(progress);
  }

  async prune(): Promise<{ readonly isMoreLeft: boolean }> {
    return await this.progress.prune();
  }

  async releaseDue(handle: Handle, judge: JudgeRetry): Promise<ReleaseReport> {
    return await this.chains.releaseDue(handle, judge);
  }

  async countSetAside(): Promise<{ readonly held: number; readonly parked: number; readonly heldKeys: number }> {
    return await this.chains.count();
  }

  async probe(): Promise<void> {
    const { rows } = await runStatement<{ is_writable: boolean }>(this.dataSource, { text: PROBE });
    if (rows[0]?.is_writable !== true) {
      throw new InboxError('unavailable', 'The database is read-only: a standby, or its user may not write.');
    }
  }

  private async setAside(arrival: Arrival, verdict: HoldVerdict): Promise<Outcome> {
    return await this.withClaims([arrival], async (transaction, [finding]) => {
      if (finding === 'key held') {
        await this.chains.append(transaction, arrival);
      } else if (finding === 'new') {
        await this.chains.begin(transaction, arrival, verdict);
      }
      return finding === 'duplicate' ? 'duplicate' : 'chained';
    });
  }

  private async applyOne(
    transaction: InboxTransaction,
    arrival: Arrival,
    finding: Finding,
    handle: Handle,
  ): Promise<Outcome> {
    switch (finding) {
      case 'duplicate':
        return 'duplicate';
      case 'key held':
        await this.chains.append(transaction, arrival);
        return 'chained';
      case 'new':
        await handle(arrival, transaction);
        return 'applied';
    }
  }

  /** A stream's first event finds no floor to compare with: it is made in a transaction of its own, for all to see. */
  private async withClaims<Result>(
    arrivals: readonly Arrival[],
    work: (transaction: InboxTransaction, findings: readonly Finding[]) => Promise<Result>,
  ): Promise<Result> {
    const attempt = async (): Promise<Result> =>
      await inTransaction(
        this.dataSource,
        async (transaction) => await work(transaction, await claim(transaction, this.consumer, arrivals)),
      );
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof StreamUnknown)) {
        throw error;
      }
      await runStatement(this.dataSource, addStreams(this.consumer, arrivals));
      return await attempt();
    }
  }
}
