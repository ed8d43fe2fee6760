import { HEADER, type OutboxEvent } from '@millrace/events';
import { type SinkHeader } from '@millrace/transport';
import { EventTemplate, type FixedFields, templateProblem, type TemplateRules, timeText } from './event-template.js';

/**
 * `raw`: the value is the payload. `cloudevents`, `binary`: so too, and headers `ce_*` and `content-type` describe it, as
 * CloudEvents 1.0 binds it to Kafka. `cloudevents`, `structured`: the value is the JSON envelope, with the payload as it
 * is in `data`. Millrace's own headers stay in any case.
 */
export type PayloadFormat =
  | { readonly kind: 'raw' }
  | {
      readonly kind: 'cloudevents';
      readonly mode: CloudEventsMode;
      /** Template of the attribute `source`, with `{aggregatetype}`, `{source}` and `{route}`; default `/{source}`. */
      readonly source?: string;
    };

/** Where the attributes of a CloudEvent stand: in headers, or in the value with the payload. */
export type CloudEventsMode = 'binary' | 'structured';

export const CLOUD_EVENTS_MODES: readonly CloudEventsMode[] = ['binary', 'structured'];

/** What a format does to a record. */
export interface PayloadEncoder {
  valueOf(event: OutboxEvent): Buffer;
  appendHeaders(event: OutboxEvent, out: SinkHeader[]): void;
}

const DEFAULT_SOURCE = '/{source}';
/** Of a URI reference, but for the braces of placeholders. */
const URI_TEXT = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%{}]{1,500}$/;
const SPEC_VERSION: SinkHeader = header('ce_specversion', '1.0');
const JSON_CONTENT: SinkHeader = header('content-type', 'application/json');
const ENVELOPE_CONTENT: SinkHeader = header('content-type', 'application/cloudevents+json; charset=UTF-8');
/** Consumers unwrap by it: a producer may have a content type of his own. */
const ENVELOPE: SinkHeader = header(HEADER.envelope, 'cloudevents');
const NAME = {
  id: Buffer.from('ce_id'),
  source: Buffer.from('ce_source'),
  type: Buffer.from('ce_type'),
  subject: Buffer.from('ce_subject'),
  time: Buffer.from('ce_time'),
};

/** `null` for `raw`. The format has been checked. */
export function payloadEncoderOf(format: PayloadFormat, fixed: FixedFields): PayloadEncoder | null {
  if (format.kind === 'raw') {
    return null;
  }
  const source = new EventTemplate(format.source ?? DEFAULT_SOURCE, rules(fixed));
  return format.mode === 'binary' ? new BinaryCloudEvents(source) : new StructuredCloudEvents(source);
}

/** What is wrong with the template of a CloudEvents source; `null`: nothing. */
export function cloudEventsSourceProblem(source: string, fixed: FixedFields): string | null {
  return URI_TEXT.test(source) ? templateProblem(source, rules(fixed)) : 'is no URI reference of 1 to 500 characters';
}

class BinaryCloudEvents implements PayloadEncoder {
  private readonly source: SinkHeader | null;

  constructor(private readonly template: EventTemplate) {
    this.source = template.constant === null ? null : [NAME.source, Buffer.from(template.constant)];
  }

  valueOf(event: OutboxEvent): Buffer {
    return Buffer.from(event.payload);
  }

  appendHeaders(event: OutboxEvent, out: SinkHeader[]): void {
    out.push(
      SPEC_VERSION,
      [NAME.id, Buffer.from(event.id, 'latin1')],
      this.source ?? [NAME.source, Buffer.from(this.template.fill(event) ?? '')],
      [NAME.type, Buffer.from(event.type)],
      [NAME.subject, Buffer.from(event.aggregateId)],
      JSON_CONTENT,
    );
    const time = timeText(event.occurredAtMs);
    if (time !== null) {
      out.push([NAME.time, Buffer.from(time, 'latin1')]);
    }
  }
}

class StructuredCloudEvents implements PayloadEncoder {
  constructor(private readonly source: EventTemplate) {}

  valueOf(event: OutboxEvent): Buffer {
    const { id, type, aggregateId: subject, payload } = event;
    const time = timeText(event.occurredAtMs) ?? undefined;
    const attributes = JSON.stringify({
      specversion: '1.0',
      id,
      source: this.source.fill(event) ?? '',
      type,
      subject,
      time,
      datacontenttype: 'application/json',
    });
    // the payload as it is: parsed and written anew, numbers would lose digits
    return Buffer.from(`${attributes.slice(0, -1)},"data":${payload}}`);
  }

  appendHeaders(_event: OutboxEvent, out: SinkHeader[]): void {
    out.push(ENVELOPE_CONTENT, ENVELOPE);
  }
}

/** A name that the format keeps for itself, whatever its case, which some consumers ignore. */
export function isCloudEventsHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'content-type' || lower.startsWith('ce_');
}

function header(name: string, value: string): SinkHeader {
  return [Buffer.from(name), Buffer.from(value)];
}

/** What every event has, and what a URI can hold as it is. */
function rules(fixed: FixedFields): TemplateRules {
  return { fields: ['aggregatetype'], takesHeaders: false, fixed };
}
