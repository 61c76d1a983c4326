/** Long work that lets others have their turn, and ends when it is told to. */

const BREATH_MS = 50;

/**
 * For loops that would keep the event loop to themselves: call it often and await what it returns. Every 50 ms it lets signals, timers
 * and requests through; after that it throws the signal's reason when that was aborted.
 */
export function breather(signal?: AbortSignal): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < BREATH_MS) return undefined;
    return new Promise<void>((resolve, reject) =>
      setTimeout(() => {
        last = performance.now();
        if (signal?.aborted) reject(signal.reason as Error);
        else resolve();
      }, 0),
    );
  };
}

/** The result of some work, or the signal's reason as an error as soon as that is aborted; the work itself goes on unseen. */
export async function unlessAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    work.catch(() => {});
  }
}
