/** A header of the producer, and the values of which it must have one. */
export interface HeaderValues {
  readonly name: string;
  readonly values: readonly string[];
}

/**
 * Which events a route wants: every condition that is given must hold. All other events are settled unsent, with the page
 * that they were read in, and their payloads stay in the database.
 */
export interface EventFilter {
  /** `null`: any. */
  readonly aggregateTypes: readonly string[] | null;
  /** Without it, or `null`: any. */
  readonly eventTypes?: readonly string[] | null;
  /** Values as bare text, as a record carries them. An event without the header is not wanted. */
  readonly headerValues?: readonly HeaderValues[];
}

/** The filter as it is asked of one row at a time, where no statement can. Equal to what the poll's statement selects. */
export class RowFilter {
  private readonly aggregateTypes: ReadonlySet<string> | null;
  private readonly eventTypes: ReadonlySet<string> | null;
  private readonly headerValues: readonly (readonly [name: string, values: ReadonlySet<string>])[];

  constructor({ aggregateTypes, eventTypes = null, headerValues = [] }: EventFilter) {
    this.aggregateTypes = aggregateTypes === null ? null : new Set(aggregateTypes);
    this.eventTypes = eventTypes === null ? null : new Set(eventTypes);
    this.headerValues = headerValues.map(({ name, values }) => [name, new Set(values)]);
  }

  wantsAggregateType(aggregateType: string): boolean {
    return this.aggregateTypes?.has(aggregateType) ?? true;
  }

  wantsEventType(eventType: string): boolean {
    return this.eventTypes?.has(eventType) ?? true;
  }

  /** The headers' text need not be looked at. */
  get takesAnyHeaders(): boolean {
    return this.headerValues.length === 0;
  }

  /** `json`: an object of texts; `null`: no headers. */
  wantsHeaders(json: string | null): boolean {
    if (this.takesAnyHeaders) {
      return true;
    }
    const headers = new Map(Object.entries(JSON.parse(json ?? '{}') as Readonly<Record<string, string>>));
    return this.headerValues.every(([name, values]) => {
      const value = headers.get(name);
      return value !== undefined && values.has(value);
    });
  }
}
