import { type EventId, type OutboxEvent, type Position, toEventId, toPosition } from '@millrace/events';
import { CaptureError } from './capture.errors.js';
import { isForRoute } from './only-route.js';
import { type PolledRow } from './outbox-reader.js';
import { type TextRow } from './pg-connection.js';

/** An event over the text columns of its row; headers and time are read out only when somebody asks. */
class PolledEvent implements OutboxEvent {
  private read: Readonly<Record<string, string>> | null = null;

  constructor(
    readonly position: Position,
    readonly id: EventId,
    private readonly row: TextRow,
    readonly payload: string,
  ) {}

  get aggregateType(): string {
    return this.row[2] ?? '';
  }

  get aggregateId(): string {
    return this.row[3] ?? '';
  }

  get type(): string {
    return this.row[4] ?? '';
  }

  get aggregateVersion(): string | null {
    return this.row[5] ?? null;
  }

  get schemaVersion(): number {
    return Number(this.row[6]);
  }

  get headers(): Readonly<Record<string, string>> | null {
    const headers = this.row[8] ?? null;
    return headers === null ? null : (this.read ??= parseHeaders(headers));
  }

  get occurredAtMs(): number {
    return parseTimestamp(this.row[9] ?? '');
  }
}

/** One row of the poll: position, id, aggregatetype, aggregateid, type, versions, payload, headers, time, bytes. */
export function polledRow(row: TextRow, route: string | null): PolledRow {
  return printedRow(row, Number(row[10]), route);
}

/**
 * As `polledRow`, with the bytes of payload and headers beside the row. One without an id is not wanted, nor is a copy for
 * another route; `null` takes copies for any.
 */
export function printedRow(row: TextRow, bytes: number, route: string | null): PolledRow {
  const [positionText, id, , , , , , payload, headers = null] = row;
  if (positionText === null || positionText === undefined) {
    throw new CaptureError('internal', 'A row of the outbox came back without its position.');
  }
  const position = toPosition(positionText);
  if (id === null || id === undefined || payload === null || payload === undefined) {
    return { position, event: null, bytes: 0 };
  }
  if (route !== null && !isForRoute(headers, route)) {
    return { position, event: null, bytes: 0 };
  }
  return { position, event: new PolledEvent(position, toEventId(id), row, payload), bytes };
}

/** The poll prints an object of strings alone; as parsed, a header named __proto__ is an entry like any other. */
function parseHeaders(json: string): Record<string, string> {
  return JSON.parse(json) as Record<string, string>;
}

/**
 * PostgreSQL prints `2026-11-21 11:20:00.123456+00`; sessions with another time zone print its offset, down to the
 * seconds that zones had before there was a standard.
 */
function parseTimestamp(text: string): number {
  const [, local = '', sign = '+', hours, minutes = '0', seconds = '0'] = OFFSET.exec(text) ?? [];
  const offsetS = Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
  return Date.parse(`${local.replace(' ', 'T')}Z`) - (sign === '-' ? -offsetS : offsetS) * 1_000;
}

const OFFSET = /^(.*)([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/;
