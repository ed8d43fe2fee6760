import { bytesText, type RetentionAlarm } from '@millrace/capture';

/** What an alarm means and what a person does about it, in one sentence or two. */
export function alarmText(alarm: RetentionAlarm): string {
  switch (alarm.kind) {
    case 'leaf_miscounted':
      return (
        `${alarm.table} has ${alarm.found} rows and route ${alarm.route} has read ${alarm.counted} of it: it stays. ` +
        'Compare it with the topic, look for explicit positions, a sequence cache or a DELETE job, then accept the count.'
      );
    case 'identity_changed':
      return (
        `The ledger of route ${alarm.route} belongs to another server or timeline: nothing is emptied before the route has ` +
        'repaired it, which it does by itself when it runs. Only when the route itself is stopped with identity_changed: ' +
        'compare outbox and topic, then run millrace ledger adopt.'
      );
    case 'default_partition_not_empty':
      return (
        `The default partition has rows (${bytesText(alarm.bytes)}): leaves had run out. It is read as usual and emptied ` +
        'once it is settled and old; find out why no leaves were made ahead.'
      );
    case 'archive_failed':
      return `${alarm.table} could not be archived and stays; it is tried again each minute: ${causeOf(alarm.error)}`;
    case 'archive_missing':
      return `${alarm.problem} No leaf is emptied until then.`;
    case 'route_over_limit':
      return (
        `Route ${alarm.route} holds ${alarm.leaves} leaves of ${bytesText(alarm.bytes)} beyond the limit and expires after ` +
        'ten minutes, unless a person has exempted it: resume or repair it, or raise the limit.'
      );
    case 'route_expired':
      return (
        `Route ${alarm.route} held more than the limit and has expired: what it has not settled may be removed. Remove ` +
        'the cause, then let it go on.'
      );
    case 'slot_left':
      return (
        `Nobody runs route ${alarm.route}, and its slot ${alarm.slot} holds ${bytesText(Number(alarm.retainedBytes))} of WAL on ` +
        'the server, which the role of the relay may not drop: give it the attribute REPLICATION, or have a superuser run ' +
        `select pg_drop_replication_slot('${alarm.slot}').`
      );
  }
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
