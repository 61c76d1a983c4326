/** BPE merges learnt from counted words. */

/** One merge of two token ids into the next free id. */
export type Merge = readonly [left: number, right: number];

export interface MergeOptions {
  /** Ids up to this are bytes or reserved; the first merge gets it. */
  firstId: number;
  mergeCount: number;
  /** Pairs rarer than this are not merged. */
  minFrequency: number;
  /** No merged token gets longer than this many bytes. */
  maxTokenBytes: number;
}

/**
 * Byte-pair merges of weighted words, most frequent pair first, ties to the lower ids; the ids and ties are those of
 * Hugging Face's BpeTrainer, so both learn the same merges from the same counts. Pair counts are kept up to date
 * where a merge changes a word, and a heap whose entries may be stale finds the next pair: O(changes · log pairs).
 */
export function learnMerges(words: readonly Int32Array[], counts: ArrayLike<number>, options: MergeOptions): Merge[] {
  const learning = mergeSteps(words, counts, options);
  for (let step = learning.next(); ; step = learning.next()) if (step.done) return step.value;
}

/** `learnMerges` in small steps, so that others can have their turn in between; yields the number of merges so far. */
export function* mergeSteps(
  words: readonly Int32Array[],
  counts: ArrayLike<number>,
  options: MergeOptions,
): Generator<number, Merge[]> {
  const idLimit = options.firstId + options.mergeCount;
  const keyOf = (left: number, right: number) => left * idLimit + right;
  const lengths = new Int32Array(idLimit).fill(1);
  const ids = words.map((word) => word.slice());
  const sizes = Int32Array.from(ids, (word) => word.length);
  const pairCounts = new Map<number, number>();
  const pairWords = new Map<number, number[]>();

  const change = (key: number, by: number, word: number) => {
    pairCounts.set(key, (pairCounts.get(key) ?? 0) + by);
    if (by < 0) return;
    const list = pairWords.get(key);
    if (list === undefined) pairWords.set(key, [word]);
    else if (list[list.length - 1] !== word) list.push(word);
  };
  for (let w = 0; w < ids.length; w++) {
    for (let i = 0; i + 1 < sizes[w]!; i++) change(keyOf(ids[w]![i]!, ids[w]![i + 1]!), counts[w]!, w);
    if (w % 1024 === 0) yield 0;
  }

  const heap = new PairHeap();
  for (const [key, count] of pairCounts) heap.push(key, count);

  const merges: Merge[] = [];
  while (merges.length < options.mergeCount) {
    const top = heap.pop();
    if (top === undefined) break;
    const count = pairCounts.get(top.key) ?? 0;
    if (count !== top.count) {
      if (count > 0) heap.push(top.key, count);
      continue;
    }
    if (count < options.minFrequency) break;
    const left = Math.floor(top.key / idLimit);
    const right = top.key % idLimit;
    if (lengths[left]! + lengths[right]! > options.maxTokenBytes) continue;
    const id = options.firstId + merges.length;
    lengths[id] = lengths[left]! + lengths[right]!;
    merges.push([left, right]);

    const touched = new Set<number>();
    const list = pairWords.get(top.key) ?? [];
    pairWords.delete(top.key);
    for (const w of list) {
      const word = ids[w]!;
      const size = sizes[w]!;
      const weight = counts[w]!;
      let out = 0;
      for (let i = 0; i < size; i++) {
        if (word[i] !== left || i + 1 >= size || word[i + 1] !== right) {
          word[out++] = word[i]!;
          continue;
        }
        if (out > 0) {
          change(keyOf(word[out - 1]!, left), -weight, w);
          const key = keyOf(word[out - 1]!, id);
          change(key, weight, w);
          touched.add(key);
        }
        if (i + 2 < size) {
          change(keyOf(right, word[i + 2]!), -weight, w);
          const key = keyOf(id, word[i + 2]!);
          change(key, weight, w);
          touched.add(key);
        }
        word[out++] = id;
        i++;
      }
      sizes[w] = out;
    }
    pairCounts.delete(top.key);
    for (const key of touched) {
      const count = pairCounts.get(key) ?? 0;
      if (count > 0) heap.push(key, count);
    }
    yield merges.length;
  }
  return merges;
}

/** A binary heap: highest count first, then the lowest key. */
class PairHeap {
  private keys: number[] = [];
  private counts: number[] = [];

  private before(a: number, b: number): boolean {
    return this.counts[a]! > this.counts[b]! || (this.counts[a] === this.counts[b] && this.keys[a]! < this.keys[b]!);
  }

  private swap(a: number, b: number): void {
    [this.keys[a], this.keys[b]] = [this.keys[b]!, this.keys[a]!];
    [this.counts[a], this.counts[b]] = [this.counts[b]!, this.counts[a]!];
  }

  push(key: number, count: number): void {
    let at = this.keys.push(key) - 1;
    this.counts.push(count);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(at, parent)) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  pop(): { key: number; count: number } | undefined {
    if (this.keys.length === 0) return undefined;
    this.swap(0, this.keys.length - 1);
    const top = { key: this.keys.pop()!, count: this.counts.pop()! };
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= this.keys.length) break;
      const child = left + 1 < this.keys.length && this.before(left + 1, left) ? left + 1 : left;
      if (!this.before(child, at)) break;
      this.swap(child, at);
      at = child;
    }
    return top;
  }
}
