/** Whether guessing pays, found out while running: seconds of passes and the share of guesses that were right, both measured. */

/** A way to make the next pass: so many guesses of each sequence, each of a kind that is right more or less often. */
export interface Way {
  /** What its seconds are kept under. */
  name: string;
  /** Of each sequence: its kind, and how many guesses follow one another. None: it makes a single step. */
  guesses: readonly { kind: string; count: number }[];
}

/** Weight of the latest of measured values. */
const LATEST = 0.05;
/** A single value counts at most so many times the mean: another program had the processor. */
const OUTLIER = 2;
/** How much longer a check is thought to take for each guess, before one was measured. */
const FOR_EACH = 0.2;
/** Another way must promise so much more before a step is left for it. */
const MARGIN = 1.03;
/** After how many passes the ways that do not seem to pay are tried again: twice as many each time that they do not. */
const [RETRY_FIRST, RETRY_LAST] = [128, 2048];
/** Passes after which a single step is measured again, while others are taken. */
const STEP_AGAIN = 64;

/** A mean of what came last; the first value is left out, since buffers grow in it. */
class Mean {
  #seen = 0;
  value: number | undefined;

  add(x: number): void {
    if (this.#seen++ === 0) return;
    const { value = x } = this;
    this.value = value + LATEST * (Math.min(x, OUTLIER * value) - value);
  }
}

/** Kept for each number of sequences apart. */
export class Pace {
  readonly #step = new Mean();
  readonly #seconds = new Map<string, Mean>();
  /** Of each kind: a share, from as many as were counted lately. */
  readonly #right = new Map<string, { right: number; of: number }>();
  /** Passes since a step was made for its own sake, and since another way was tried. */
  #sinceStep = 0;
  #sinceTry = 0;
  #retry = RETRY_FIRST;

  /** Mean seconds of a step; undefined as long as none was measured. */
  get stepSeconds(): number | undefined {
    return this.#step.value;
  }

  /** The way that promises most tokens a second; undefined: a step. */
  choose<W extends Way>(ways: readonly W[]): W | undefined {
    const step = this.#step.value;
    if (step === undefined || ++this.#sinceStep > STEP_AGAIN) return this.#stay();
    let best: W | undefined;
    let most = 0;
    for (const way of ways) {
      const rate = this.#promise(way, step);
      if (rate > most) [best, most] = [way, rate];
    }
    if (best === undefined) return undefined;
    const tokens = best.guesses.length;
    if (most * step > MARGIN * tokens) {
      this.#sinceTry = 0;
      this.#retry = RETRY_FIRST;
      return best;
    }
    if (++this.#sinceTry < this.#retry) {
      this.#sinceStep = 0;
      return undefined;
    }
    this.#sinceTry = 0;
    this.#retry = Math.min(RETRY_LAST, 2 * this.#retry);
    return best;
  }

  #stay(): undefined {
    this.#sinceStep = 0;
  }

  /** Tokens a second that a way promises. */
  #promise({ name, guesses }: Way, step: number): number {
    let tokens = 0;
    let longest = 0;
    for (const { kind, count } of guesses) {
      const share = this.share(kind);
      for (let j = 0, chance = 1; j <= count; j++, chance *= share) tokens += chance;
      longest = Math.max(longest, count);
    }
    return tokens / (this.#seconds.get(name)?.value ?? step * (1 + FOR_EACH * longest));
  }

  /** The share of a kind's guesses that are right, where those before them were. */
  share(kind: string): number {
    const { right, of } = this.#right.get(kind) ?? NEVER;
    return (right + 1) / (of + 2);
  }

  /** A pass was made: a step, or the way of that name. */
  took(name: string | undefined, seconds: number): void {
    if (name === undefined) return this.#step.add(seconds);
    let mean = this.#seconds.get(name);
    if (mean === undefined) this.#seconds.set(name, (mean = new Mean()));
    mean.add(seconds);
  }

  /** A guess turned out right or wrong; also one that was not used. */
  learn(kind: string, wasRight: boolean): void {
    let share = this.#right.get(kind);
    if (share === undefined) this.#right.set(kind, (share = { ...NEVER }));
    share.right = 0.97 * share.right + (wasRight ? 1 : 0);
    share.of = 0.97 * share.of + 1;
  }
}

const NEVER = { right: 0, of: 0 };
