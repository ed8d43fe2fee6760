import { type EventFilter } from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { type EventField, type TemplateRules } from './event-template.js';
import { LinearRegex } from './regex/linear-regex.js';
import { RegexProblem } from './regex/regex-problem.js';
import { RelayError } from './relay.errors.js';

const TOPIC_LENGTH_MAX = 249;
/** As long as an event's type may be. Headers have no limit, and neither time nor memory may be spent on any length. */
const VALUE_LENGTH_MAX = 1_024;
const CACHE_ENTRIES_MAX = 1_000;

const TOPIC_FIELDS: readonly EventField[] = ['aggregatetype', 'type'];

/** How the events of a route find their topics. */
export interface TopicNaming {
  /** Throws `RelayError` `topic_invalid` when the event gives no legal name. */
  topicOf(event: OutboxEvent): string;
  /** The topics of wanted events as far as they can be told without an event. */
  topicsOf(filter: EventFilter): readonly string[];
  /** Tells the topics that wanted events can go to; true for more of them where that is not certain. */
  matcherOf(filter: EventFilter): (topic: string) => boolean;
}

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

/** What topics can be named after. */
export function topicRules(fixed: TemplateRules['fixed']): TemplateRules {
  return { fields: TOPIC_FIELDS, takesHeaders: true, fixed };
}

/** The values that a placeholder can have in wanted events; `null`: any. */
export function wantedValues(filter: EventFilter, placeholder: string): readonly string[] | null {
  if (placeholder === 'aggregatetype') {
    return filter.aggregateTypes;
  }
  if (placeholder === 'type') {
    return filter.eventTypes ?? null;
  }
  return filter.headerValues?.find(({ name }) => `header:${name}` === placeholder)?.values ?? null;
}

/** The legal names that were made of some text; producers choose the texts, so it is emptied when it has grown large. */
export class TopicCache {
  private readonly topics = new Map<string, string>();

  /** `what` names the rule for the message of the `RelayError` `topic_invalid`, which repeats nothing of the event. */
  constructor(private readonly what: string) {}

  /** `key`: what the name is made of; `null` when the event lacks some of it. */
  topicFor(key: string | null, make: () => string): string {
    if (key === null) {
      throw this.invalid('needs a header that the event does not have');
    }
    if (key.length > VALUE_LENGTH_MAX) {
      throw this.invalid(`would be made of ${key.length} characters; at most ${VALUE_LENGTH_MAX} are looked at`);
    }
    const known = this.topics.get(key);
    if (known !== undefined) {
      return known;
    }
    const topic = make();
    const problem = topicProblem(topic);
    if (problem !== null) {
      throw this.invalid(problem);
    }
    if (this.topics.size >= CACHE_ENTRIES_MAX) {
      this.topics.clear();
    }
    this.topics.set(key, topic);
    return topic;
  }

  private invalid(problem: string): RelayError {
    return new RelayError(
      'topic_invalid',
      `${this.what} gives no legal topic name for an event: the name ${problem}. ` +
        'Choose a template without the offending field for this route and restart the relay.',
    );
  }
}

/**
 * Tells texts that match the first of these patterns that is not too large; all texts, where every one is. In linear time:
 * what a configuration repeats must not hold up the process.
 */
export function matcherOfFirst(...patterns: readonly string[]): (text: string) => boolean {
  for (const pattern of patterns) {
    try {
      const regex = new LinearRegex(pattern);
      return (text) => regex.isMatch(text);
    } catch (error) {
      if (!(error instanceof RegexProblem)) {
        throw error;
      }
    }
  }
  return () => true;
}

/** As part of a pattern, the text and nothing else. */
export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
