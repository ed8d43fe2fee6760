import { type EventFilter } from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { EventTemplate, type FixedFields, type TemplatePart, templateProblem } from './event-template.js';
import { RelayError } from './relay.errors.js';
import {
  escaped,
  matcherOfFirst,
  TopicCache,
  type TopicNaming,
  topicProblem,
  topicRules,
  wantedValues,
} from './topic-naming.js';

const ANY_TEXT = '[A-Za-z0-9._-]+';

type Field = Extract<TemplatePart, { kind: 'field' }>;

/** A topic name with the placeholders `{aggregatetype}`, `{type}`, `{header:name}`, `{source}` and `{route}`. */
export class TopicTemplate implements TopicNaming {
  private readonly parts: readonly TemplatePart[];
  private readonly fields: readonly Field[];
  /** The field of most templates: found once, for it is asked of every event. */
  private readonly onlyField: Field | null;
  private readonly cache: TopicCache;

  /** Throws `RelayError` `configuration` when the template cannot give a legal topic name. */
  constructor(template: string, fixed: FixedFields) {
    const problem = topicTemplateProblem(template, fixed);
    if (problem !== null) {
      throw new RelayError('configuration', `Topic template ${JSON.stringify(template)} ${problem}.`);
    }
    this.parts = new EventTemplate(template, topicRules(fixed)).parts;
    this.fields = this.parts.filter((part) => part.kind === 'field');
    const [first, ...others] = this.fields;
    this.onlyField = first !== undefined && others.length === 0 ? first : null;
    this.cache = new TopicCache(`Topic template ${JSON.stringify(template)}`);
  }

  /** Contract: `TopicNaming`. */
  topicOf(event: OutboxEvent): string {
    return this.cache.topicFor(this.cacheKeyOf(event), () => filled(this.parts, ({ read }) => read(event) ?? ''));
  }

  /** None when the name depends on what is not known, or on two things: not every pair of them need be an event. */
  topicsOf(filter: EventFilter): readonly string[] {
    const [name, ...others] = new Set(this.fields.map((field) => field.name));
    const values = name === undefined ? [''] : wantedValues(filter, name);
    if (values === null || others.length > 0) {
      return [];
    }
    const topics = values.map((value) => filled(this.parts, () => value));
    return [...new Set(topics)].filter((topic) => topicProblem(topic) === null);
  }

  /** Contract: `TopicNaming`. */
  matcherOf(filter: EventFilter): (topic: string) => boolean {
    const patternOf = (values: (field: Field) => string): string =>
      this.parts.map((part) => (part.kind === 'text' ? escaped(part.text) : values(part))).join('');
    return matcherOfFirst(
      patternOf((field) => anyOf(field, filter)),
      patternOf(() => ANY_TEXT),
    );
  }

  /** Legal names hold no line feed, so that different values never make one key of a legal name. */
  private cacheKeyOf(event: OutboxEvent): string | null {
    if (this.onlyField !== null) {
      return this.onlyField.read(event);
    }
    const values = this.fields.map(({ read }) => read(event));
    return values.includes(null) ? null : values.join('\n');
  }
}

/** What is wrong with a topic template whatever the events are; `null`: nothing. Goes on after its name. */
export function topicTemplateProblem(template: string, fixed: FixedFields): string | null {
  return templateProblem(template, topicRules(fixed), ({ parts }) => topicProblem(filled(parts, () => 'x')));
}

function filled(parts: readonly TemplatePart[], valueOf: (field: Field) => string): string {
  return parts.map((part) => (part.kind === 'text' ? part.text : valueOf(part))).join('');
}

function anyOf({ name }: Field, filter: EventFilter): string {
  const values = wantedValues(filter, name);
  return values === null ? ANY_TEXT : `(?:${values.map(escaped).join('|')})`;
}
