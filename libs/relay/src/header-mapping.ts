import { isReservedHeader, type OutboxEvent } from '@millrace/events';
import { type SinkHeader } from '@millrace/transport';
import {
  EVENT_FIELDS,
  EventTemplate,
  type FixedFields,
  templateProblem,
  type TemplateRules,
} from './event-template.js';

/** What becomes of headers on their way from an event into its record. Millrace's own are not touched by any of it. */
export interface HeaderMapping {
  /**
   * Names and templates of headers that each record gets, in place of a header of the producer with that name. One whose
   * template names what an event does not have is left out of its record.
   */
  readonly set?: Readonly<Record<string, string>>;
  /** New names for headers of the producer, by their old ones. */
  readonly rename?: Readonly<Record<string, string>>;
  /** Headers of the producer that go on no record. */
  readonly remove?: readonly string[];
}

/** What is wrong with a mapping: where in it, and what; repeats no value. */
export interface HeaderMappingProblem {
  readonly path: readonly [keyof HeaderMapping, string];
  readonly message: string;
}

interface SetHeader {
  readonly name: Buffer;
  readonly template: EventTemplate;
  /** The same for all events. */
  readonly constant: SinkHeader | null;
}

const NAME = /^[A-Za-z0-9._-]{1,100}$/;

/** The headers of a route's records that are not Millrace's own, as its configuration maps them. Made once per route. */
export class HeaderMapper {
  private readonly set: readonly SetHeader[];
  private readonly renamed: ReadonlyMap<string, string>;
  /** New names, with the old ones. */
  private readonly oldNames: ReadonlyMap<string, string>;
  private readonly left: ReadonlySet<string>;

  /** The mapping has been checked. */
  constructor(mapping: HeaderMapping, fixed: FixedFields) {
    const { set = {}, rename = {}, remove = [] } = mapping;
    this.set = Object.entries(set).map(([name, text]) => setHeader(name, new EventTemplate(text, rules(fixed))));
    this.renamed = new Map(Object.entries(rename));
    this.oldNames = new Map(Object.entries(rename).map(([from, to]) => [to, from]));
    this.left = new Set([...remove, ...Object.keys(set)]);
  }

  /** Under which name a header of the producer goes on the record; `null`: it does not. */
  nameOf(name: string, headers: Readonly<Record<string, string>>): string | null {
    const renamed = this.renamed.get(name);
    if (renamed !== undefined) {
      return renamed;
    }
    const giver = this.oldNames.get(name);
    const isTaken = giver !== undefined && Object.hasOwn(headers, giver);
    return isTaken || this.left.has(name) ? null : name;
  }

  appendSet(event: OutboxEvent, out: SinkHeader[]): void {
    for (const { name, template, constant } of this.set) {
      const value = constant ?? template.fill(event);
      if (value !== null) {
        out.push(typeof value === 'string' ? [name, Buffer.from(value)] : value);
      }
    }
  }
}

/** Everything that is wrong with a mapping, whatever the events are. */
export function headerMappingProblems(mapping: HeaderMapping, fixed: FixedFields): readonly HeaderMappingProblem[] {
  const { set = {}, rename = {}, remove = [] } = mapping;
  const targets = Object.values(rename);
  const setProblems = Object.entries(set).flatMap(([name, template]) =>
    found(['set', name], nameProblem(name) ?? templateProblem(template, rules(fixed))),
  );
  const renameProblems = Object.entries(rename).flatMap(([from, to]) => {
    const isTwice = targets.filter((target) => target === to).length > 1 || Object.hasOwn(set, to);
    return found(['rename', from], isTwice ? 'gives a name that another header gets as well' : nameProblem(to));
  });
  const removeProblems = remove.flatMap((name) =>
    found(['remove', name], Object.hasOwn(rename, name) ? 'is also renamed' : reservedProblem(name)),
  );
  return [...setProblems, ...renameProblems, ...removeProblems];
}

function found(path: HeaderMappingProblem['path'], message: string | null): readonly HeaderMappingProblem[] {
  return message === null ? [] : [{ path, message }];
}

function nameProblem(name: string): string | null {
  return NAME.test(name)
    ? reservedProblem(name)
    : 'needs a name of 1 to 100 letters, digits, ".", "_" and "-" for the record';
}

function reservedProblem(name: string): string | null {
  return isReservedHeader(name) ? "is one of Millrace's own names" : null;
}

function rules(fixed: FixedFields): TemplateRules {
  return { fields: EVENT_FIELDS, takesHeaders: true, fixed };
}

function setHeader(text: string, template: EventTemplate): SetHeader {
  const name = Buffer.from(text);
  const { constant } = template;
  return { name, template, constant: constant === null ? null : [name, Buffer.from(constant)] };
}
