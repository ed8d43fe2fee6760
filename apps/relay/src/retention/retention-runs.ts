import { type BeforeApplicationShutdown, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { type SourceHistory, type SourceRetention } from './source-retention.js';

/** The retention of all sources of this relay. */
@Injectable()
export class RetentionRuns implements OnModuleDestroy, BeforeApplicationShutdown {
  private stopped: Promise<unknown> = Promise.resolve();

  constructor(private readonly sources: readonly SourceRetention[]) {}

  /** To be called with the engine's start. */
  start(): void {
    for (const source of this.sources) {
      source.start();
    }
  }

  /** Comes before the engine is stopped, which goes on meanwhile. */
  onModuleDestroy(): void {
    this.stopped = Promise.all(this.sources.map((source) => source.stop()));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stopped;
  }

  /** Of every source, in the order of the configuration. Touches no server. */
  histories(): SourceHistory[] {
    return this.sources.map((source) => source.history());
  }

  /** The databases of all sources, in the order of the configuration. */
  databases(): readonly Pick<SourceRetention, 'source' | 'databaseUrl'>[] {
    return this.sources;
  }

  find(name: string): SourceRetention | undefined {
    return this.sources.find(({ source }) => source === name);
  }
}
