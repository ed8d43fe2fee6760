/** As a question, because the answer changes while one waits. */
export function isStopped(stopping: AbortSignal): boolean {
  return stopping.aborted;
}

/** Resolves after so long, or as soon as `stopping` is aborted. */
export async function pause(ms: number, stopping: AbortSignal): Promise<void> {
  if (isStopped(stopping)) {
    return;
  }
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      stopping.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    stopping.addEventListener('abort', end);
  });
}

/** Resolves when `stopping` is aborted, or when `work` has ended; rejects when `work` does. */
export async function untilStopped(work: Promise<void>, stopping: AbortSignal): Promise<void> {
  if (isStopped(stopping)) {
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const end = (): void => {
      resolve();
    };
    stopping.addEventListener('abort', end);
    work
      .finally(() => {
        stopping.removeEventListener('abort', end);
      })
      .then(end, reject);
  });
}
