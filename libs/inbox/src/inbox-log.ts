import { Logger } from '@nestjs/common';
import { type BreakerState } from './breaker.js';
import {
  type BackgroundTask,
  type ChainParked,
  type InboxObserver,
  type PartitionFrozen,
  type SetAside,
} from './inbox-observer.js';

/** One line for each change of state; none per message, none with what an event or a foreign error says. */
export class InboxLog implements InboxObserver {
  private readonly logger = new Logger('Inbox');

  constructor(private readonly consumer: string) {}

  setAside({ kind, id, type, topic, partition, offset, code, reason, error }: SetAside): void {
    const place = { topic, partition, offset: String(offset) };
    const line = { consumer: this.consumer, id, type, ...place, code, reason, ...stackOf(error) };
    if (kind === 'parked') {
      this.logger.error(line, 'event parked');
    } else {
      this.logger.warn(line, 'event held');
    }
  }

  chainParked({ id, topic, code }: ChainParked): void {
    this.logger.error({ consumer: this.consumer, id, topic, code }, 'held chain parked');
  }

  chainsReleased(applied: number): void {
    this.logger.log({ consumer: this.consumer, applied }, 'held events applied');
  }

  breakerChanged(state: BreakerState): void {
    switch (state.kind) {
      case 'open':
        this.logger.error({ consumer: this.consumer, reason: state.reason }, 'database away, consuming waits');
        return;
      case 'closed':
        this.logger.log({ consumer: this.consumer }, 'database back, consuming goes on');
    }
  }

  partitionFrozen({ topic, partition, from, to }: PartitionFrozen): void {
    this.logger.error(
      { consumer: this.consumer, topic, partition, from: String(from), to: String(to) },
      'records were skipped, floors of the partition stand still',
    );
  }

  progressMissing({ topic, partition, to }: PartitionFrozen): void {
    const advice =
      'The group was used with another database, or this one was made anew. To apply all of it, stop the consumer and ' +
      'reset its group to the earliest offset; to go on without it, run millrace inbox thaw.';
    this.logger.error(
      { consumer: this.consumer, topic, partition, groupOffset: String(to + 1n), advice },
      'no progress of a partition that the group has read, its floors stand still',
    );
  }

  partitionThawed({ topic, partition }: { readonly topic: string; readonly partition: number }): void {
    this.logger.log({ consumer: this.consumer, topic, partition }, 'partition thawed');
  }

  backgroundChanged(task: BackgroundTask, error: unknown): void {
    if (error === null) {
      this.logger.log({ consumer: this.consumer, task }, 'background task works again');
    } else {
      this.logger.error({ consumer: this.consumer, task, ...stackOf(error) }, 'background task fails');
    }
  }
}

/** Where it was thrown, without the message in the stack's first lines: it may quote data. */
function stackOf(error: unknown): { readonly error?: string; readonly at?: readonly string[] } {
  if (!(error instanceof Error)) {
    return {};
  }
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { error: error.name, at: frames.slice(0, FRAMES_MAX).map((line) => line.trim()) };
}

const FRAMES_MAX = 8;
