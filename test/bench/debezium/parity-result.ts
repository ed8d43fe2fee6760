import { type ConsumedRecord } from '@millrace/testing';
import { type Client } from 'pg';
import { CONTROLS } from './controls.js';
import { type ParityScenario, type WrittenRows } from './parity-scenario.js';
import { type Comparison, compareRecords, idOf, isSame } from './same-records.js';

/** A row that our trigger refuses, and what Debezium has published of it. */
export interface RefusedRow {
  readonly why: string;
  readonly published: string;
}

/** What one scenario has shown. */
export interface ParityResult {
  readonly name: string;
  readonly about: string;
  /** Committed; each has to be in both. */
  readonly events: number;
  readonly comparison: Comparison;
  readonly refused: readonly RefusedRow[];
  /** How many faults were planted, and those that were not found. */
  readonly planted: number;
  readonly unfound: readonly string[];
}

/** All that was read, of what was written. */
export interface ParityMaterial {
  readonly scenario: ParityScenario;
  readonly written: WrittenRows;
  readonly events: number;
  readonly ours: readonly ConsumedRecord[];
  readonly theirs: readonly ConsumedRecord[];
  /** To ask PostgreSQL how it prints JSON. */
  readonly client: Client;
}

const PRINTED_SQL = 'select json, json::jsonb::text as printed from unnest($1::text[]) as json';
const SHOWN_MAX = 40;

/** Compares, and then once more for each planted fault. */
export async function resultOf(material: ParityMaterial): Promise<ParityResult> {
  const { scenario, written, events, ours, client } = material;
  const { name, about } = scenario;
  const isRefused = (record: ConsumedRecord): boolean => written.refused.has(idOf(record));
  const theirs = material.theirs.filter((record) => !isRefused(record));
  const documented = scenario.differences(await printedJson(client, theirs));
  const compared = (records: readonly ConsumedRecord[]): Comparison => compareRecords(records, theirs, documented);
  return {
    name,
    about,
    events,
    comparison: compared(ours),
    refused: [...written.refused].map(([id, why]) => ({
      why,
      published: publishedOf(material.theirs.filter((record) => idOf(record) === id)),
    })),
    planted: CONTROLS.length,
    unfound: CONTROLS.filter((control) => isSame(compared(control.plant(ours)))).map(({ what }) => what),
  };
}

async function printedJson(client: Client, records: readonly ConsumedRecord[]): Promise<ReadonlyMap<string, string>> {
  const written = [...new Set(records.flatMap(({ value }) => value ?? []))];
  const { rows } = await client.query<{ json: string; printed: string }>(PRINTED_SQL, [written]);
  return new Map(rows.map(({ json, printed }) => [json, printed]));
}

function publishedOf(records: readonly ConsumedRecord[]): string {
  const texts = records.map(({ key, value }) => `key ${shown(key)}, value ${shown(value)}`);
  return texts.length === 0 ? 'nothing' : texts.join('; ');
}

function shown(text: string | null): string {
  if (text === null) {
    return 'null';
  }
  return text.length > SHOWN_MAX ? `of ${text.length} characters` : JSON.stringify(text);
}
