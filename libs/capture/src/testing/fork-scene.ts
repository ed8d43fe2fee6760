import { setTimeout as sleep } from 'node:timers/promises';
import { toEventId, toPosition } from '@millrace/events';
import type pg from 'pg';
import { type ClaimResult } from '../capture-port.js';
import { type ForkRepair, type ForkReport, type PublishedRecord } from '../fork/fork-repair.js';
import { createOutboxSource } from '../outbox-source.js';

type Claimed = Extract<ClaimResult, { kind: 'claimed' }>;

const LONGEST_WAIT_MS = 60_000;

/** The routes of one database, claimed before and after its history has forked. Ends with `close`. */
export class ForkScene {
  private readonly held: { close(): Promise<void> }[] = [];

  /** The client stays the caller's. */
  constructor(
    private readonly databaseUrl: string,
    private readonly client: pg.Client,
  ) {}

  async ask(route = 'r', aggregateTypes: readonly string[] | null = null): Promise<ClaimResult> {
    const source = createOutboxSource({ name: 'source', databaseUrl: this.databaseUrl });
    const from = { kind: 'earliest' } as const;
    const result = await source.claim({ route, owner: 'a', ttlMs: 30_000, from, aggregateTypes });
    if (result.kind === 'claimed') {
      this.toClose(result.capture);
    }
    if (result.kind === 'forked') {
      this.toClose(result.repair);
    }
    return result;
  }

  async claim(route = 'r'): Promise<Claimed> {
    const result = await this.ask(route);
    if (result.kind !== 'claimed') {
      throw new Error(`The claim was answered with ${result.kind}.`);
    }
    return result;
  }

  /** As after a promotion: all ledgers were written on an earlier branch of the history. */
  async fork(): Promise<void> {
    await this.client.query('update millrace.ledger set timeline = timeline - 1');
  }

  /** The repair of a route that has forked, begun. */
  async forked(route = 'r', types: readonly string[] | null = null): Promise<ForkRepair> {
    const result = await this.ask(route, types);
    if (result.kind !== 'forked') {
      throw new Error(`The claim was answered with ${result.kind}.`);
    }
    await result.repair.begin();
    return result.repair;
  }

  /** Ends the repair, which waits for all writers of the server that were there before. */
  async repaired(repair: ForkRepair): Promise<ForkReport> {
    const deadline = performance.now() + LONGEST_WAIT_MS;
    for (;;) {
      const step = await repair.complete();
      if (step.kind === 'repaired') {
        await repair.close();
        return step.report;
      }
      if (performance.now() > deadline) {
        throw new Error(`The repair still waits for ${step.holder}.`);
      }
      await sleep(20);
    }
  }

  /** Closed with the scene. */
  toClose(one: { close(): Promise<void> }): void {
    this.held.push(one);
  }

  async close(): Promise<void> {
    await Promise.all(this.held.map((one) => one.close()));
  }
}

/** The record of an event in the topic of its route. */
export function publishedRecord(event: { readonly position: bigint; readonly id: string }, low = 0n): PublishedRecord {
  return {
    position: toPosition(event.position),
    id: toEventId(event.id),
    low: toPosition(low),
    topic: 't',
    partition: 0,
    offset: event.position,
    isOwn: true,
  };
}
