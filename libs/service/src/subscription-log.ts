import { type SqsSubscriptionEvent, type SubscriptionEvent } from '@millrace/transport';
import { Logger } from '@nestjs/common';

type Level = 'log' | 'warn' | 'error';

/** What a subscription tells, whatever broker it is to. */
export type ToldEvent = SubscriptionEvent | SqsSubscriptionEvent;

const LINES: Readonly<Record<ToldEvent['kind'], readonly [Level, string]>> = {
  joined: ['log', 'joined the consumer group'],
  assigned: ['log', 'partitions assigned'],
  revoked: ['log', 'partitions revoked'],
  rebuilt: ['warn', 'subscription is built anew'],
  out_of_range: ['error', 'records are gone from the topic, going on at the earliest'],
  topic_missing: ['log', 'waiting for a topic that does not exist yet'],
  topic_appeared: ['log', 'topic has appeared'],
  commit_failed: ['warn', 'offsets were not taken, records may come again'],
  fetch_interrupted: ['warn', 'these partitions cannot be read now'],
  queue_opened: ['log', 'consuming from a queue'],
  queue_missing: ['log', 'waiting for a queue that does not exist yet'],
  interrupted: ['warn', 'queue cannot be read now'],
  resumed: ['log', 'queue can be read again'],
  given_back: ['error', 'messages cannot be delivered and come again'],
  visibility_lost: ['warn', 'messages in work were shown to others'],
  delete_failed: ['warn', 'messages that are done come again'],
};

/** One log line for each change of a subscription, with what belongs to it as fields. */
export class SubscriptionLog {
  private readonly logger = new Logger('Subscription');

  tell(event: ToldEvent): void {
    const [level, phrase] = LINES[event.kind];
    this.logger[event.kind === 'revoked' && !event.isDrained ? 'warn' : level](fieldsOf(event), phrase);
  }
}

/** Partitions as `topic/0`, offsets as text. */
function fieldsOf(event: ToldEvent): Readonly<Record<string, unknown>> {
  if (event.kind === 'assigned' || event.kind === 'revoked' || event.kind === 'fetch_interrupted') {
    return { ...event, partitions: event.partitions.map(({ topic, partition }) => `${topic}/${partition}`) };
  }
  return event.kind === 'out_of_range'
    ? { ...event, expected: String(event.expected), first: String(event.first) }
    : event;
}
