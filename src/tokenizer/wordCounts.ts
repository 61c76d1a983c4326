/** Words counted in bounded memory. */
import { flat } from "./flat.ts";

/**
 * Counts words in bounded memory by lossy counting (Manku and Motwani, VLDB 2002): when the table is full, all
 * words up to a rising count are forgotten until half of it is free. A word's count is at most `lost` too low, and
 * no word met more often than `lost` is missing; such rare words have no part in merges worth making.
 * Depends on the texts and their order alone.
 */
export class WordCounts {
  readonly counts = new Map<string, number>();
  /** The most that any word's count may be too low. 0 while everything fitted. */
  lost = 0;
  total = 0;

  constructor(readonly maxWords: number) {}

  add(word: string): void {
    this.total++;
    const count = this.counts.get(word);
    if (count !== undefined) this.counts.set(word, count + 1);
    else {
      if (this.counts.size >= this.maxWords) this.prune();
      this.counts.set(flat(word), 1);
    }
  }

  private prune(): void {
    for (let floor = 1; this.counts.size > this.maxWords / 2; floor *= 2) {
      for (const [word, count] of this.counts) if (count <= floor) this.counts.delete(word);
      this.lost += floor;
    }
  }
}
