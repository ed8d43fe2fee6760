/**
 * Waits for work, but not for ever: after `ms` it resolves with what `otherwise` returns, or rejects with what it
 * throws. The work goes on unobserved; its late rejection is swallowed, because nobody waits for it any more.
 */
export async function within<Result, Fallback>(
  ms: number,
  work: Promise<Result>,
  otherwise: () => Fallback,
): Promise<Result | Fallback> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  }).then(otherwise);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
