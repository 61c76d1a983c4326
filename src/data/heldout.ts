/** Which held-out tokens a loss is measured on: the same for every run on the same data, each once. */

/** A stretch of the stream to predict: tokens `start` … `start + targets` − 1, each from the tokens of the window before it. */
export interface HeldoutWindow {
  start: number;
  targets: number;
}

/** Blocks that a sample of a long text is made of: long enough for a context, short enough that every source has its share. */
const BLOCK_TOKENS = 1024;

/**
 * Windows of at most `sequence` targets over a held-out stream of `total` tokens: all of it but its first token when `budget` suffices, else
 * blocks of 1,024 tokens, evenly spread. Which tokens are targets depends on total and budget alone; no token is a target twice, and the
 * stream is never wrapped around. Each window reads `targets` + 1 tokens from `start` − 1.
 */
export function heldoutWindows(total: number, budget: number, sequence: number): HeldoutWindow[] {
  const available = total - 1;
  if (available < 1 || budget < 1) return [];
  const windows: HeldoutWindow[] = [];
  const cut = (start: number, end: number): void => {
    for (let at = start; at < end; at += sequence) windows.push({ start: at, targets: Math.min(sequence, end - at) });
  };
  if (available <= budget) cut(1, total);
  else {
    const block = Math.min(BLOCK_TOKENS, budget);
    const blocks = Math.floor(budget / block);
    for (let i = 0; i < blocks; i++) {
      const start = 1 + (blocks === 1 ? 0 : Math.floor((i * (available - block)) / (blocks - 1)));
      cut(start, start + block);
    }
  }
  return windows;
}
