import { type BackgroundTask, type InboxObserver } from './inbox-observer.js';

/** Tells once when a task begins to fail, and once when it works again. */
export class TaskHealth {
  #isFailing = false;

  constructor(
    private readonly task: BackgroundTask,
    private readonly observer: Required<InboxObserver>,
  ) {}

  failed(error: unknown): void {
    if (!this.#isFailing) {
      this.#isFailing = true;
      this.observer.backgroundChanged(this.task, error);
    }
  }

  worked(): void {
    if (this.#isFailing) {
      this.#isFailing = false;
      this.observer.backgroundChanged(this.task, null);
    }
  }
}
