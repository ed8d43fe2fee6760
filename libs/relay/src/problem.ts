import { CaptureError } from '@millrace/capture';
import { SinkError } from '@millrace/transport';
import { RelayError } from './relay.errors.js';
import { type RouteProblem } from './route-state.js';
import { sendErrorCodeOf, sendPolicyFor } from './send-policy.js';

/** A problem of the sink's side. */
export type SinkProblem = Extract<RouteProblem, { side: 'sink' }>;

/** The problem that a failed call of a source, or the engine's own work on a page, stands for. */
export function sourceProblemOf(error: unknown): RouteProblem {
  if (error instanceof CaptureError) {
    return { side: 'source', code: error.code, message: error.message };
  }
  if (error instanceof RelayError) {
    return { side: 'relay', code: error.code, message: error.message };
  }
  return { side: 'relay', code: 'internal', message: unexpected(error) };
}

/** The problem that a failed call of a sink stands for, with the advice of the send policy. */
export function sinkProblemOf(error: unknown): SinkProblem {
  const code = sendErrorCodeOf(error);
  const message = error instanceof SinkError ? error.message : unexpected(error);
  return { side: 'sink', code, message: `${message} ${sendPolicyFor(code).advice}` };
}

/**
 * Whether a stop has its cause in this relay (its release, its settings, its rights) and not in what all relays would
 * meet: then another one may run the route. All others are left to a person.
 */
export function isOwnFault({ code }: RouteProblem): boolean {
  return OWN_FAULTS.has(code);
}

/**
 * Whether a stop tells that the sink has lost events that it had acknowledged. Whoever resumes the route then knows of it.
 */
export function isLoss({ code }: RouteProblem): boolean {
  return LOSSES.has(code);
}

const LOSSES: ReadonlySet<RouteProblem['code']> = new Set([
  'topic_deleted',
  'receipt_invalid',
  'topic_replaced',
  'log_cut',
]);

const OWN_FAULTS: ReadonlySet<RouteProblem['code']> = new Set([
  'schema_too_new',
  'database_url_invalid',
  'configuration',
  'not_authorised',
]);

/** Unexpected errors are named by class only: their message may carry data. */
function unexpected(error: unknown): string {
  return `Unexpected ${error instanceof Error ? error.name : typeof error}.`;
}

/** The error for a source that gives no answer. */
export function sourceSilent(): CaptureError {
  return new CaptureError(
    'database_unavailable',
    'The source database has not answered in time; the relay tries again.',
  );
}

/** The error for a sink that gives no answer. */
export function sinkSilent(): SinkError {
  return new SinkError('timeout', 'The sink has not answered in time.');
}
