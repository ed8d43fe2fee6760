import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { RelayEngine } from '@millrace/relay';

/** Starts the engine when the app listens and stops it before the app stops answering. */
@Injectable()
export class EngineLife implements BeforeApplicationShutdown {
  constructor(private readonly engine: RelayEngine) {}

  /** To be called once the port is ours: a process that ends for want of a port must not have taken a lease. */
  start(): void {
    this.engine.start();
  }

  /** What is in flight is finished and settled, and the leases are given back. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.engine.stop();
  }
}
