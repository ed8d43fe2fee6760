import { type SinkErrorCode, SinkError } from '@millrace/transport';

/**
 * What the engine does about a failed send. `resend`: the same records in the same order after a growing wait.
 * `wait`: the same, at a slow fixed pace, because a person or another system has to act. `bisect`: halve the batch to
 * find the one record that the sink refuses, and set it aside by the policy of its route. `stop`: the route stops until it
 * is resumed.
 */
export type SendAction = 'resend' | 'wait' | 'bisect' | 'stop';

/** The engine's answer to one kind of failure. */
export interface SendPolicy {
  readonly action: SendAction;
  /** After so many failures of one batch with this very code the route stops; without it never. */
  readonly attemptsMax?: number;
  /** What the operator is told beside the sink's own message. */
  readonly advice: string;
}

const POLICY: Readonly<Record<SinkErrorCode, SendPolicy>> = {
  unavailable: {
    action: 'resend',
    advice: 'The relay sends the same records again until the sink answers; nothing is lost.',
  },
  timeout: {
    action: 'resend',
    advice: 'The relay sends the same records again; the sink may have stored them already, so repeats are possible.',
  },
  receipt_invalid: {
    action: 'resend',
    // each resend of a log that was cut is a repeat: it must not go on for ever
    attemptsMax: 5,
    advice: 'The sink did not confirm what was sent. The relay sends the same records again a few times, then stops.',
  },
  fenced: {
    action: 'wait',
    advice: 'Another relay has the route now; this one lets it go as soon as its ledger says so. Nothing was stored.',
  },
  topic_missing: {
    action: 'wait',
    advice: 'Create the topic, or let the sink create topics; the relay looks again every few seconds.',
  },
  topic_deleted: {
    action: 'wait',
    // a broker that lags behind the others may not know a topic for a moment
    attemptsMax: 5,
    advice: 'The relay looks a few times whether it is there again, then stops.',
  },
  partition_count_changed: {
    action: 'stop',
    advice:
      'The partition of a key may have changed, so order can no longer be promised by itself. ' +
      'Let the consumers drain the topic, then resume the route.',
  },
  record_too_large: {
    action: 'bisect',
    advice:
      'Raise the size limit of the topic and the broker; what is held is then sent by itself, or on retry where it is ' +
      'parked. The limit of the sink itself (messageBytesMax) is read when the relay starts.',
  },
  record_invalid: {
    action: 'bisect',
    advice:
      'Correct the rule of the topic that refuses the event; what is held is then sent by itself, or on retry where it is parked.',
  },
  not_authorised: {
    action: 'stop',
    advice: 'Allow the relay to write to the topic, then resume the route.',
  },
  configuration: {
    action: 'stop',
    advice: 'Correct the configuration of the sink, restart the relay or resume the route.',
  },
};

const UNEXPECTED: SendPolicy = {
  action: 'resend',
  advice: 'The sink failed in an unexpected way; the relay sends the same records again.',
};

/** The code under which a failed call of a sink is counted and shown; what is no `SinkError` is `internal`. */
export type SendErrorCode = SinkErrorCode | 'internal';

/** The code of whatever a sink threw. */
export function sendErrorCodeOf(error: unknown): SendErrorCode {
  return error instanceof SinkError ? error.code : 'internal';
}

/** The one place that decides about a failed call of a sink. */
export function sendPolicyFor(code: SendErrorCode): SendPolicy {
  return code === 'internal' ? UNEXPECTED : POLICY[code];
}
