import { type OutboxEvent } from '@millrace/events';

/** What a template can take from every event, by the name of its placeholder; `null`: this event has none. */
const READERS = {
  aggregatetype: (event: OutboxEvent) => event.aggregateType,
  aggregateid: (event: OutboxEvent) => event.aggregateId,
  type: (event: OutboxEvent) => event.type,
  id: (event: OutboxEvent) => event.id,
  schemaversion: (event: OutboxEvent) => String(event.schemaVersion),
  aggregateversion: (event: OutboxEvent) => event.aggregateVersion,
  occurredat: (event: OutboxEvent) => timeText(event.occurredAtMs),
} as const;

const HEADER_FIELD = /^header:([^{}]{1,200})$/;
const YEARS = { min: Date.parse('0000-01-01T00:00:00Z'), max: Date.parse('9999-12-31T23:59:59.999Z') };

/** A placeholder's name for something of the event itself; a header of the producer is `header:` and its name. */
export type EventField = keyof typeof READERS;

export const EVENT_FIELDS: readonly EventField[] = [
  'aggregatetype',
  'aggregateid',
  'type',
  'id',
  'schemaversion',
  'aggregateversion',
  'occurredat',
];

/** The placeholders that are the same for every event of a route. */
export interface FixedFields {
  readonly source: string;
  readonly route: string;
}

/** What a kind of template takes. */
export interface TemplateRules {
  readonly fields: readonly EventField[];
  /** `{header:name}`. */
  readonly takesHeaders: boolean;
  readonly fixed: FixedFields;
}

/** Text, or something of the event. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'field'; readonly name: string; readonly read: (event: OutboxEvent) => string | null };

/** What is wrong with a template: `message` goes on after its name. */
export class TemplateProblem extends Error {
  override readonly name = 'TemplateProblem';
}

/** A text with placeholders in braces that events fill in. Parsed once; nothing of it is ever executed. */
export class EventTemplate {
  readonly parts: readonly TemplatePart[];

  /** Throws `TemplateProblem`. */
  constructor(text: string, rules: TemplateRules) {
    this.parts = joined(text.split(/(\{[^{}]*\})/).map((piece) => partOf(piece, rules)));
  }

  /** The text that all events share; `null` when they differ. */
  get constant(): string | null {
    const [only, ...others] = this.parts;
    return only === undefined ? '' : only.kind === 'text' && others.length === 0 ? only.text : null;
  }

  /** `null`: the event lacks a header, or a version, that the template names. */
  fill(event: OutboxEvent): string | null {
    let filled = '';
    for (const part of this.parts) {
      const text = part.kind === 'text' ? part.text : part.read(event);
      if (text === null) {
        return null;
      }
      filled += text;
    }
    return filled;
  }
}

/** What is wrong with a template, or, by `further`, with one that is right otherwise; `null`: nothing. */
export function templateProblem(
  text: string,
  rules: TemplateRules,
  further: (template: EventTemplate) => string | null = () => null,
): string | null {
  try {
    return further(new EventTemplate(text, rules));
  } catch (error) {
    if (error instanceof TemplateProblem) {
      return error.message;
    }
    throw error;
  }
}

/** What is read by a placeholder's name, without its braces. Throws `TemplateProblem`. */
export function fieldNamed(name: string, rules: TemplateRules): TemplatePart {
  if (name === 'source' || name === 'route') {
    return { kind: 'text', text: rules.fixed[name] };
  }
  const field = rules.fields.find((known) => known === name);
  if (field !== undefined) {
    return { kind: 'field', name, read: READERS[field] };
  }
  const [, header] = (rules.takesHeaders ? HEADER_FIELD.exec(name) : null) ?? [];
  if (header === undefined) {
    const known = [...rules.fields, 'source', 'route', ...(rules.takesHeaders ? ['header:name'] : [])];
    const list = known.map((each) => `{${each}}`).join(', ');
    throw new TemplateProblem(`has an unknown placeholder; known are ${list}`);
  }
  return { kind: 'field', name, read: (event) => headerOf(event, header) };
}

/** RFC 3339; `null` for the times that it cannot write: infinity, and years that do not have four digits. */
export function timeText(ms: number): string | null {
  return ms >= YEARS.min && ms <= YEARS.max ? new Date(ms).toISOString() : null;
}

function headerOf({ headers }: OutboxEvent, name: string): string | null {
  return headers !== null && Object.hasOwn(headers, name) ? (headers[name] ?? null) : null;
}

function partOf(piece: string, rules: TemplateRules): TemplatePart {
  if (piece.startsWith('{') && piece.endsWith('}')) {
    return fieldNamed(piece.slice(1, -1), rules);
  }
  if (/[{}]/.test(piece)) {
    throw new TemplateProblem('has characters other than placeholders between braces, or a brace alone');
  }
  return { kind: 'text', text: piece };
}

/** Without empty texts, and with neighbouring texts as one. */
function joined(parts: readonly TemplatePart[]): readonly TemplatePart[] {
  const result: TemplatePart[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (part.kind === 'text' && last?.kind === 'text') {
      result[result.length - 1] = { kind: 'text', text: last.text + part.text };
    } else if (part.kind === 'field' || part.text !== '') {
      result.push(part);
    }
  }
  return result;
}
