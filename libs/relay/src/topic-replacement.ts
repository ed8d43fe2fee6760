import { type EventFilter } from '@millrace/capture';
import { type OutboxEvent } from '@millrace/events';
import { fieldNamed, type FixedFields, TemplateProblem, type TemplatePart } from './event-template.js';
import { LinearRegex, type RegexMatch } from './regex/linear-regex.js';
import { RegexProblem } from './regex/regex-problem.js';
import { type ReplacementPart, parseReplacement } from './regex/replacement.js';
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

/** Topics as Debezium's outbox event router names them. */
export interface TopicReplacement {
  /** `route.by.field`: `aggregatetype` (default), `type` or `header:name`. */
  readonly by?: string;
  /** `route.topic.regex`; default `(?<routedByValue>.*)`. */
  readonly regex?: string;
  /** `route.topic.replacement`; default `outbox.event.${routedByValue}`. */
  readonly replacement?: string;
}

/** What is wrong with one of the settings: `message` goes on after its name, and repeats nothing of it. */
export interface ReplacementProblem {
  readonly setting: keyof TopicReplacement;
  readonly message: string;
}

interface Rule {
  readonly by: TemplatePart;
  readonly regex: LinearRegex;
  readonly replacement: readonly ReplacementPart[];
}

const DEFAULTS = { by: 'aggregatetype', regex: '(?<routedByValue>.*)', replacement: 'outbox.event.${routedByValue}' };

/**
 * The value of a field, which the regular expression has to match as a whole, with the match replaced; a value that it
 * does not match is the topic as it is. That is what Kafka's RegexRouter does, to which Debezium leaves it.
 */
export class ReplacedTopic implements TopicNaming {
  private readonly rule: Rule;
  private readonly cache: TopicCache;

  /** Throws `RelayError` `configuration`. */
  constructor(config: TopicReplacement, fixed: FixedFields) {
    const rule = readRule(config, fixed);
    if ('problems' in rule) {
      const list = rule.problems.map(({ setting, message }) => `${setting} ${message}`).join('; ');
      throw new RelayError('configuration', `The topic's ${list}.`);
    }
    this.rule = rule;
    this.cache = new TopicCache('The replacement of the topic');
  }

  /** Contract: `TopicNaming`. */
  topicOf(event: OutboxEvent): string {
    const { by } = this.rule;
    const value = by.kind === 'text' ? by.text : by.read(event);
    return this.cache.topicFor(value, () => this.replaced(value ?? ''));
  }

  /** Contract: `TopicNaming`. */
  topicsOf(filter: EventFilter): readonly string[] {
    const topics = (this.valuesOf(filter) ?? []).map((value) => this.replaced(value));
    return [...new Set(topics)].filter((topic) => topicProblem(topic) === null);
  }

  /** Contract: `TopicNaming`. */
  matcherOf(filter: EventFilter): (topic: string) => boolean {
    const values = this.valuesOf(filter);
    if (values !== null) {
      const topics = new Set(values.map((value) => this.replaced(value)));
      return (topic) => topics.has(topic);
    }
    const { regex, replacement } = this.rule;
    if (!regex.isUniversal) {
      return () => true; // a value that is not matched is a topic by itself
    }
    return matcherOfFirst(replacement.map((part) => (typeof part === 'string' ? escaped(part) : '.*')).join(''));
  }

  private valuesOf(filter: EventFilter): readonly string[] | null {
    const { by } = this.rule;
    return by.kind === 'text' ? [by.text] : wantedValues(filter, by.name);
  }

  private replaced(value: string): string {
    const { regex, replacement } = this.rule;
    const match = regex.isMatch(value) ? regex.matchStart(value) : null;
    return match === null ? value : expanded(replacement, match) + value.slice(match.end);
  }
}

/** Everything that is wrong with the settings, whatever the events are. */
export function topicReplacementProblems(config: TopicReplacement, fixed: FixedFields): readonly ReplacementProblem[] {
  const rule = readRule(config, fixed);
  return 'problems' in rule ? rule.problems : [];
}

function readRule(config: TopicReplacement, fixed: FixedFields): Rule | { readonly problems: ReplacementProblem[] } {
  const settings = { ...DEFAULTS, ...config };
  const problems: ReplacementProblem[] = [];
  const by = attempt(problems, 'by', () => fieldNamed(settings.by, topicRules(fixed)));
  const regex = attempt(problems, 'regex', () => new LinearRegex(settings.regex));
  const replacement =
    regex && attempt(problems, 'replacement', () => parseReplacement(settings.replacement, regex.groups));
  return by && regex && replacement ? { by, regex, replacement } : { problems };
}

function attempt<T>(problems: ReplacementProblem[], setting: keyof TopicReplacement, make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof RegexProblem || error instanceof TemplateProblem) {
      problems.push({ setting, message: error.message });
      return null;
    }
    throw error;
  }
}

function expanded(replacement: readonly ReplacementPart[], match: RegexMatch): string {
  return replacement.map((part) => (typeof part === 'string' ? part : (match.group(part) ?? ''))).join('');
}
