/** What has batches to run: a partition. */
export interface BatchSource {
  hasReady(): boolean;
  /** Takes the next batch and settles it or puts it back. Only when `hasReady`; must not reject. */
  runBatch(): Promise<void>;
}

/** Runs the batches of all partitions of a consumer, so many at a time, the partitions in turn. */
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
      this.#running++;
      void source.runBatch().finally(() => {
        this.#running--;
        this.pump();
      });
    }
  }

  #nextReady(): BatchSource | undefined {
    for (let step = 0; step < this.#sources.length; step++) {
      const index = (this.#next + step) % this.#sources.length;
      const source = this.#sources[index];
      if (source?.hasReady() === true) {
        this.#next = index + 1;
        return source;
      }
    }
    return undefined;
  }
}
