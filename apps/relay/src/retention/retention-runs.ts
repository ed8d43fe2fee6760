import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { type SourceHistory, type SourceRetention } from './source-retention.js';

/** The retention of all sources of this relay. */
@Injectable()
export class RetentionRuns implements BeforeApplicationShutdown {
  constructor(private readonly sources: readonly SourceRetention[]) {}

  /** To be called with the engine's start. */
  start(): void {
    for (const source of this.sources) {
      source.start();
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.sources.map((source) => source.stop()));
  }

  /** Of every source, in the order of the configuration. Touches no server. */
  histories(): SourceHistory[] {
    return this.sources.map((source) => source.history());
  }

  find(name: string): SourceRetention | undefined {
    return this.sources.find(({ source }) => source === name);
  }
}
