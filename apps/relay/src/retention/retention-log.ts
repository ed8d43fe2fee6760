import { Logger } from '@nestjs/common';
import {
  type ArchivedLeaf,
  type LeafEmptied,
  type RetentionAlarm,
  type RetentionObserver,
  type RouteExpired,
  type SlotLetGo,
} from '@millrace/capture';
import { alarmText } from './alarm-text.js';
import { type ProblemChange } from './retention-listener.js';

/** One line for each thing that retention does, and for each alarm and failure when it begins and when it is over. */
export class RetentionLog implements RetentionObserver {
  private readonly logger = new Logger(RetentionLog.name);

  leafArchived({ source, table, rows, path }: ArchivedLeaf): void {
    this.logger.log({ source, table, rows, path }, 'leaf archived');
  }

  leafEmptied({ source, table, lo, last, rows }: LeafEmptied): void {
    this.logger.log({ source, table, first: String(lo), last: String(last), rows }, 'leaf emptied');
  }

  leavesDropped({ source, leaves }: { readonly source: string; readonly leaves: number }): void {
    this.logger.log({ source, leaves }, 'empty leaves dropped');
  }

  routeExpired({ source, route, low, leaves, bytes, ageMs }: RouteExpired): void {
    const ageSeconds = Math.round(ageMs / 1_000);
    this.logger.error({ source, route, low: String(low), leaves, bytes, ageSeconds }, 'route expired');
  }

  slotLetGo({ source, route, slot, retainedBytes }: SlotLetGo): void {
    this.logger.warn(
      { source, route, slot, retainedBytes: String(retainedBytes) },
      'slot of a route that nobody runs dropped',
    );
  }

  alarmRaised(alarm: RetentionAlarm): void {
    this.logger.warn({ source: alarm.source, alarm: alarm.kind, problem: alarmText(alarm) }, 'retention alarm');
  }

  alarmCleared(alarm: RetentionAlarm): void {
    this.logger.log({ source: alarm.source, alarm: alarm.kind }, 'retention alarm over');
  }

  problemChanged({ source, problem, error }: ProblemChange): void {
    if (problem === null) {
      this.logger.log({ source }, 'retention runs');
      return;
    }
    const cause = problem.code === 'internal' ? { err: error } : {};
    this.logger.warn({ source, code: problem.code, problem: problem.message, ...cause }, 'retention cannot run');
  }
}
