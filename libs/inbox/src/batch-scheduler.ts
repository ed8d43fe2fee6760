/** What has batches to run: a partition. */
export interface BatchSource {
  /** Events that could be begun now. */
  readonly readyEvents: number;
  /** Takes the next batch, of at most so many events, and settles it or puts it back. Only when there are ready ones; must not reject. */
  runBatch(eventsMax: number): Promise<void>;
}

/**
 * Runs the batches of all partitions of a consumer, so many at a time, the partitions in turn. What is ready is spread
 * over what is free: a batch's handlers run one after the other, so it is larger only where more waits.
 */
export class BatchScheduler {
  readonly #sources: BatchSource[] = [];
  #next = 0;
  #running = 0;

  /** While `isPaused` nothing is begun; call `pump` when that has changed. */
  constructor(
    private readonly concurrency: number,
    private readonly isPaused: () => boolean,
  ) {}

  add(source: BatchSource): void {
    this.#sources.push(source);
  }

  remove(source: BatchSource): void {
    const index = this.#sources.indexOf(source);
    if (index >= 0) {
      this.#sources.splice(index, 1);
    }
  }

  /** Begins what can be begun. */
  pump(): void {
    while (this.#running < this.concurrency && !this.isPaused()) {
      const source = this.#nextReady();
      if (source === undefined) {
        return;
      }
      const share = Math.ceil(this.#readyEvents() / (this.concurrency - this.#running));
      this.#running++;
      void source.runBatch(share).finally(() => {
        this.#running--;
        this.pump();
      });
    }
  }

  #readyEvents(): number {
    return this.#sources.reduce((sum, source) => sum + source.readyEvents, 0);
  }

  #nextReady(): BatchSource | undefined {
    for (let step = 0; step < this.#sources.length; step++) {
      const index = (this.#next + step) % this.#sources.length;
      const source = this.#sources[index];
      if (source !== undefined && source.readyEvents > 0) {
        this.#next = index + 1;
        return source;
      }
    }
    return undefined;
  }
}
