/** Guesses by looking up: what followed the last few tokens where they stood before. */

/** Tokens in a row that must have stood before, and how many at most are compared. */
const LEAST = 2;
const MOST = 8;

/** Of one sequence; it may be asked again whenever the sequence has grown. */
export class Lookup {
  /** Where each run of LEAST ids ended last, but for the run at the very end. */
  readonly #ends = new Map<number, number>();
  #indexed = 0;

  constructor(private readonly vocabSize: number) {}

  /**
   * What followed the latest place that ends as `ids` does, up to `count` ids, and how many ids agree there (LEAST to MOST). What follows may
   * run into the end and goes on from the place again. Undefined where no place is alike.
   */
  guess(ids: readonly number[], count: number): { ids: number[]; alike: number } | undefined {
    const last = ids.length - 1;
    // the run that ends at `last` is what is looked for: it is indexed when another has come
    for (let end = Math.max(this.#indexed, LEAST - 1); end < last; end++) this.#ends.set(this.#key(ids, end), end);
    this.#indexed = Math.max(this.#indexed, last);
    const found = last < LEAST - 1 ? undefined : this.#ends.get(this.#key(ids, last));
    if (found === undefined) return undefined;
    let alike = LEAST;
    while (alike < MOST && alike <= found && ids[found - alike] === ids[last - alike]) alike++;
    const period = last - found;
    const guessed = Array.from({ length: count }, (_, i) => ids[found + 1 + (i % period)]!);
    return { ids: guessed, alike };
  }

  #key(ids: readonly number[], end: number): number {
    return ids[end - 1]! * this.vocabSize + ids[end]!;
  }
}
