import { type SinkPort } from '@millrace/transport';
import { sinkSilent } from './problem.js';
import { type RelayClock } from './relay-clock.js';
import { type Route } from './route-config.js';
import { sendErrorCodeOf, sendPolicyFor } from './send-policy.js';
import { sleep, withDeadline } from './waiting.js';

/** What the topics are opened with. */
export interface KnownTopicsParts {
  readonly route: Route;
  readonly sink: SinkPort;
  readonly clock: RelayClock;
  /** Ends it, with the claim. */
  readonly signal: AbortSignal;
}

/**
 * Opens the topics that the route's configuration names before any event does, so that a consumer finds them, empty,
 * from the start. Never rejects, and holds nothing up: while the sink does not answer it is asked again, and whatever
 * else is wrong is told when an event needs the topic.
 */
export async function openKnownTopics({ route, sink, clock, signal }: KnownTopicsParts): Promise<void> {
  for (const name of route.topic.topicsOf(route.filter)) {
    let isOver = false;
    while (!isOver && !signal.aborted) {
      const deadline = { clock, ms: route.tuning.callDeadlineMs, signal, error: sinkSilent };
      isOver = await withDeadline(sink.openTopic(name), deadline).then(() => true, isHopeless);
      if (!isOver) {
        await sleep(clock, route.tuning.topicRetryMs, signal);
      }
    }
  }
}

function isHopeless(error: unknown): boolean {
  return sendPolicyFor(sendErrorCodeOf(error)).action !== 'resend';
}
