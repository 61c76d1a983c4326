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
/** A way is not given up before it was taken so often. */
const TRIALS = 8;
/** After how many passes a way that does not seem to pay is tried again, so many times in a row: after twice as many each time that it does not. */
const [RETRY_FIRST, RETRY_LAST] = [128, 2048];
const RETRIES = 4;
/** Passes after which single steps are measured again, so many in a row, while others are taken: the first of them is another graph's first pass, and slower. */
const STEP_AGAIN = 128;
const STEPS = 3;

/** A mean of what came last; the first value is left out, since buffers grow in it. */
class Mean {
  count = -1;
  value: number | undefined;

  add(x: number): void {
    if (++this.count === 0) return;
    const { value = x } = this;
    this.value = value + Math.max(LATEST, 1 / this.count) * (Math.min(x, OUTLIER * value) - value);
  }
}

/** Kept for each number of sequences apart. */
export class Pace {
  readonly #step = new Mean();
  readonly #seconds = new Map<string, Mean>();
  /** Of each kind: a share, from as many as were counted lately. */
  readonly #right = new Map<string, { right: number; of: number }>();
  /** Of ways that did not pay: passes until they are tried again, and how many that were. */
  readonly #retries = new Map<string, { left: number; after: number }>();
  /** Passes since steps were made for their own sake, and how many of these are left. */
  #sinceStep = 0;
  #steps = 0;
  /** The way that is tried again, and how often it is to be. */
  #again = { name: "", left: 0 };
  #wasStep = true;

  /** Mean seconds of a step; undefined as long as none was measured. */
  get stepSeconds(): number | undefined {
    return this.#step.value;
  }

  /** The way that promises most tokens a second; undefined: a step. */
  choose<W extends Way>(ways: readonly W[]): W | undefined {
    const step = this.#step.value;
    if (step === undefined) return undefined;
    if (++this.#sinceStep > STEP_AGAIN) [this.#sinceStep, this.#steps] = [0, STEPS];
    if (this.#steps > 0) {
      this.#steps--;
      return undefined;
    }
    let best: W | undefined;
    let most = MARGIN;
    for (const way of ways) {
      const gain = (this.#promise(way, step) * step) / way.guesses.length;
      if (gain > most) [best, most] = [way, gain];
    }
    if (best !== undefined) {
      this.#retries.delete(best.name);
      return best;
    }
    this.#sinceStep = 0;
    return this.#tryAgain(ways);
  }

  /** None seems to pay: the one whose time has come, if any. */
  #tryAgain<W extends Way>(ways: readonly W[]): W | undefined {
    for (const way of ways) {
      let retry = this.#retries.get(way.name);
      if (retry === undefined) this.#retries.set(way.name, (retry = { left: RETRY_FIRST, after: RETRY_FIRST }));
      if (--retry.left > 0 || this.#again.left > 0) continue;
      retry.left = retry.after = Math.min(RETRY_LAST, 2 * retry.after);
      this.#again = { name: way.name, left: RETRIES };
    }
    if (this.#again.left === 0) return undefined;
    this.#again.left--;
    return ways.find(({ name }) => name === this.#again.name);
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
    const { value, count } = this.#seconds.get(name) ?? NEVER_TAKEN;
    const thought = step * (1 + FOR_EACH * longest);
    return tokens / (value === undefined ? thought : count < TRIALS ? Math.min(value, thought) : value);
  }

  /** The share of a kind's guesses that are right, where those before them were. */
  share(kind: string): number {
    const { right, of } = this.#right.get(kind) ?? NEVER;
    return (right + 1) / (of + 2);
  }

  /** A pass was made: a step, or the way of that name. A step counts that comes after another one. */
  took(name: string | undefined, seconds: number): void {
    const wasStep = this.#wasStep;
    this.#wasStep = name === undefined;
    if (name === undefined) {
      if (wasStep) this.#step.add(seconds);
      return;
    }
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
const NEVER_TAKEN = { value: undefined, count: 0 };
