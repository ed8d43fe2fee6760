import { type RetentionAlarm, type RetentionObserver } from './retention-observer.js';

/** Tells each alarm once when it begins and once when it is over. */
export class RetentionAlarms {
  private active = new Map<string, RetentionAlarm>();

  constructor(private readonly observer: RetentionObserver) {}

  /** `now` are all alarms that there are. */
  set(now: readonly RetentionAlarm[]): void {
    const before = this.active;
    this.active = new Map(now.map((alarm) => [keyOf(alarm), alarm]));
    for (const [key, alarm] of before) {
      if (!this.active.has(key)) {
        this.observer.alarmCleared?.(alarm);
      }
    }
    for (const [key, alarm] of this.active) {
      if (!before.has(key)) {
        this.observer.alarmRaised?.(alarm);
      }
    }
  }
}

function keyOf(alarm: RetentionAlarm): string {
  switch (alarm.kind) {
    case 'leaf_miscounted':
    case 'archive_failed':
      return `${alarm.kind} ${String(alarm.lo)}`;
    case 'identity_changed':
    case 'route_over_limit':
    case 'route_expired':
      return `${alarm.kind} ${alarm.route}`;
    case 'slot_left':
      return `${alarm.kind} ${alarm.slot}`;
    case 'archive_missing':
    case 'default_partition_not_empty':
      return alarm.kind;
  }
}
