/** A pause that can be cut short; rung while nobody waits, it makes the next pause none. */
export class Wakeable {
  #isRung = false;
  #wake: (() => void) | null = null;

  /** Ends the pause that is under way, or the next one. */
  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#isRung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#isRung = false;
    this.#wake = null;
  }
}
