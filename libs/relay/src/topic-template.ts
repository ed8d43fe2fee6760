import { RelayError } from './relay.errors.js';

const PLACEHOLDERS = ['aggregatetype', 'type', 'source', 'route'] as const;
type Placeholder = (typeof PLACEHOLDERS)[number];
type Part = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'value'; readonly name: Placeholder };

const TOPIC_LENGTH_MAX = 249;
const CACHE_ENTRIES_MAX = 1_000;

/** Why a text is no legal topic name, or `null` when it is one. The rule is Kafka's. */
export function topicProblem(topic: string): string | null {
  if (topic.length === 0 || topic.length > TOPIC_LENGTH_MAX) {
    return `has ${topic.length} characters; 1 to ${TOPIC_LENGTH_MAX} are allowed`;
  }
  if (topic === '.' || topic === '..') {
    return 'is "." or ".."';
  }
  return /^[A-Za-z0-9._-]+$/.test(topic) ? null : 'has characters other than letters, digits, ".", "_" and "-"';
}

/** What of an event goes into a topic's name. */
export interface TopicParts {
  readonly aggregateType: string;
  readonly type: string;
}

/** A topic name with the placeholders `{aggregatetype}`, `{type}`, `{source}` and `{route}`. Parsed once. */
export class TopicTemplate {
  private readonly parts: readonly Part[];
  private readonly usesType: boolean;
  private readonly cache = new Map<string, string>();

  /** Throws `RelayError` `configuration` when the template cannot give a legal topic name. */
  constructor(
    readonly template: string,
    private readonly fixed: { readonly source: string; readonly route: string },
  ) {
    this.parts = parse(template);
    this.usesType = this.parts.some((part) => part.kind === 'value' && part.name === 'type');
    const problem = topicProblem(this.fill({ aggregateType: 'x', type: 'x' }));
    if (problem !== null) {
      throw new RelayError('configuration', `Topic template ${JSON.stringify(template)} ${problem}.`);
    }
  }

  /** The topic of an event. Throws `RelayError` `topic_invalid` when the event's names give no legal topic name. */
  topicOf(event: TopicParts): string {
    const key = this.usesType ? `${event.aggregateType}\n${event.type}` : event.aggregateType;
    const known = this.cache.get(key);
    if (known !== undefined) {
      return known;
    }
    const topic = this.fill(event);
    const problem = topicProblem(topic);
    if (problem !== null) {
      throw new RelayError(
        'topic_invalid',
        `Topic template ${JSON.stringify(this.template)} gives no legal topic name for an event: the name ${problem}. ` +
          'Choose a template without the offending field for this route, then resume it.',
      );
    }
    if (this.cache.size >= CACHE_ENTRIES_MAX) {
      this.cache.clear();
    }
    this.cache.set(key, topic);
    return topic;
  }

  /** The topics of these aggregate types that can be told without an event: none when the type is in the name. */
  topicsOf(aggregateTypes: readonly string[] | null): readonly string[] {
    if (this.usesType || aggregateTypes === null) {
      return [];
    }
    const topics = aggregateTypes.map((aggregateType) => this.fill({ aggregateType, type: '' }));
    return [...new Set(topics)].filter((topic) => topicProblem(topic) === null);
  }

  /** Tells the topics that events of these aggregate types (`null`: any) can go to. */
  matcherOf(aggregateTypes: readonly string[] | null): (topic: string) => boolean {
    const any = '[A-Za-z0-9._-]+';
    const values: Record<Placeholder, string> = {
      aggregatetype: aggregateTypes === null ? any : `(?:${aggregateTypes.map(escaped).join('|')})`,
      type: any,
      source: escaped(this.fixed.source),
      route: escaped(this.fixed.route),
    };
    const pattern = this.parts.map((part) => (part.kind === 'text' ? escaped(part.text) : values[part.name])).join('');
    const wanted = new RegExp(`^${pattern}$`);
    return (topic) => wanted.test(topic);
  }

  private fill(event: TopicParts): string {
    const values: Record<Placeholder, string> = {
      aggregatetype: event.aggregateType,
      type: event.type,
      source: this.fixed.source,
      route: this.fixed.route,
    };
    return this.parts.map((part) => (part.kind === 'text' ? part.text : values[part.name])).join('');
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function parse(template: string): readonly Part[] {
  const parts: Part[] = [];
  for (const piece of template.split(/(\{[^{}]*\})/)) {
    if (piece.startsWith('{')) {
      const name = PLACEHOLDERS.find((known) => `{${known}}` === piece);
      if (name === undefined) {
        throw new RelayError(
          'configuration',
          `Topic template ${JSON.stringify(template)} has the unknown placeholder ${piece}; ` +
            `known are ${PLACEHOLDERS.map((known) => `{${known}}`).join(', ')}.`,
        );
      }
      parts.push({ kind: 'value', name });
    } else if (piece !== '') {
      parts.push({ kind: 'text', text: piece });
    }
  }
  return parts;
}
