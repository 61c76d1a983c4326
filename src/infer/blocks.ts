/** Who holds which blocks of the cache. A block may have several holders: sequences, and the tree of prefixes. */

/** Blocks 1 to `most`, counted by holders; room for them is asked for as it is needed, twice as much each time. */
export class Blocks {
  #holders = new Uint32Array(1);
  /** Those that the prefix tree holds. */
  #kept = new Uint8Array(1);
  #used = 0;
  #idle = 0;

  constructor(
    readonly most: number,
    private readonly reserve: (blocks: number) => void = () => undefined,
  ) {}

  /** Blocks with a holder. */
  get used(): number {
    return this.#used;
  }

  /** Those that only the prefix tree holds: they can be had. */
  get idle(): number {
    return this.#idle;
  }

  holders(block: number): number {
    return this.#holders[block] ?? 0;
  }

  /** Takes a free block: the one after `after` if it can, else the first of `run` free ones in a row. undefined when all have holders. */
  take(after = 0, run = 1): number | undefined {
    if (this.#used === this.most) return undefined;
    const next = after > 0 ? after + 1 : 0;
    let block = next > 0 && next < this.#holders.length && this.#holders[next] === 0 ? next : this.#find(run);
    if (block === 0 && this.#holders.length <= this.most) {
      block = next === this.#holders.length ? next : this.#holders.length;
      this.#grow();
    }
    if (block === 0) block = this.#find(1);
    this.#holders[block] = 1;
    this.#used++;
    return block;
  }

  /** One more holder. */
  share(block: number): void {
    this.#check(block);
    if (this.#kept[block] === 1 && this.#holders[block] === 1) this.#idle--;
    this.#holders[block]!++;
  }

  /** One holder less; true when it was the last. */
  release(block: number): boolean {
    this.#check(block);
    const left = --this.#holders[block]!;
    if (left === 0) {
      this.#used--;
      return true;
    }
    if (left === 1 && this.#kept[block] === 1) this.#idle++;
    return false;
  }

  /** The prefix tree becomes a holder. */
  keep(block: number): void {
    this.share(block);
    this.#kept[block] = 1;
  }

  /** The prefix tree is a holder no more. */
  unkeep(block: number): void {
    if (this.#holders[block] === 1) this.#idle--;
    this.#kept[block] = 0;
    this.release(block);
  }

  #check(block: number): void {
    if (!this.#holders[block]) throw new Error(`blocks: expected block ${block} to have a holder`);
  }

  /** The first of `run` free blocks in a row; 0 if there is none. */
  #find(run: number): number {
    let free = 0;
    for (let block = 1; block < this.#holders.length; block++) {
      free = this.#holders[block] === 0 ? free + 1 : 0;
      if (free === run) return block - run + 1;
    }
    return 0;
  }

  #grow(): void {
    const size = 1 + Math.min(this.most, Math.max(FIRST_BLOCKS, 2 * (this.#holders.length - 1)));
    this.reserve(size - 1);
    const holders = new Uint32Array(size);
    holders.set(this.#holders);
    this.#holders = holders;
    const kept = new Uint8Array(size);
    kept.set(this.#kept);
    this.#kept = kept;
  }
}

const FIRST_BLOCKS = 16;
