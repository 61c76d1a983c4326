/** How the batch grows, and how many steps that makes: counted by division, not walked. */

/** What a recipe says of its batch's growth. */
interface Growth {
  batch: { start?: number; end: number; rampTokens: number };
  microBatch?: number;
}

interface Ramp extends Growth {
  sequence: number;
  tokens: number;
}

/** Sequences in the batch when `tokens` have been trained on: equal steps of one micro-batch (V3 §4.2). */
export function batchAt({ batch, microBatch }: Growth, tokens: number): number {
  const { start = batch.end, end, rampTokens } = batch;
  if (rampTokens <= 0 || tokens >= rampTokens) return end;
  const micro = microBatch ?? start;
  const levels = (end - start) / micro + 1;
  return start + micro * Math.min(levels - 1, Math.floor((tokens / rampTokens) * levels));
}

/** Steps of pretraining: those at each size of the batch while it grows, then those at its full size. */
export function pretrainingSteps(ramp: Ramp): number {
  const { batch, sequence, tokens: wanted } = ramp;
  const growing = Math.min(batch.rampTokens, wanted);
  let tokens = 0;
  let steps = 0;
  while (tokens < growing) {
    const size = batchAt(ramp, tokens);
    const count = stepsAt(ramp, tokens, size, growing);
    tokens += count * size * sequence;
    steps += count;
  }
  return steps + Math.max(0, Math.ceil((wanted - tokens) / (batch.end * sequence) - 1e-9));
}

/** Steps of `size` sequences from `tokens` on: to where the batch grows or the ramp ends. Divided, then moved to where `batchAt` itself says, as rounding may differ. */
function stepsAt(ramp: Ramp, tokens: number, size: number, growing: number): number {
  const { batch, microBatch, sequence } = ramp;
  const { start = batch.end, end, rampTokens } = batch;
  const micro = microBatch ?? start;
  const levels = (end - start) / micro + 1;
  const until = Math.min(growing, (((size - start) / micro + 1) / levels) * rampTokens);
  const same = (count: number): boolean => {
    const at = tokens + count * size * sequence;
    return at < growing && batchAt(ramp, at) === size;
  };
  let count = Math.max(1, Math.ceil((until - tokens) / (size * sequence)));
  while (count > 1 && !same(count - 1)) count--;
  while (same(count)) count++;
  return count;
}

/** The largest divisor of n that is at most `limit`, and at least 1. */
export function divisorUpTo(n: number, limit: number): number {
  let largest = 1;
  for (let d = 1; d * d <= n && d <= limit; d++) {
    if (n % d !== 0) continue;
    largest = Math.max(largest, d, n / d <= limit ? n / d : 1);
  }
  return largest;
}
