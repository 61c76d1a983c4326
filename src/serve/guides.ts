/** What may come next in an answer: no end before its time, and a thought that ends when its budget is used up or it goes in circles. */
import type { Guide } from "../infer/browser.ts";
import { ReasoningSplit, THINK_CLOSE, THINK_OPEN } from "./text.ts";
import type { ServeTokenizer, TextStream } from "./tokens.ts";

/** Bits of a vocabulary: of these ids. */
const bitsOf = (vocabSize: number, ids: Iterable<number>): Uint32Array => {
  const bits = new Uint32Array(Math.ceil(vocabSize / 32));
  for (const id of ids) bits[id >>> 5]! |= 1 << (id & 31);
  return bits;
};

/** Bits of all but these. */
const allBut = (vocabSize: number, ids: Iterable<number>): Uint32Array => bitsOf(vocabSize, ids).map((word) => ~word);

/** None of `ids` before `least` tokens have come. */
export class LeastGuide implements Guide {
  readonly #allowed: Uint32Array;
  #left: number;

  constructor(ids: readonly number[], least: number, vocabSize: number) {
    this.#left = least;
    this.#allowed = allBut(vocabSize, ids);
  }

  ready(): undefined {}

  allowed(): Uint32Array | undefined {
    return this.#left > 0 ? this.#allowed : undefined;
  }

  accept(): void {
    this.#left--;
  }
}

/** Why a thought was brought to its end. */
export type ThoughtEnd = "budget" | "loop";

export interface ThoughtBounds {
  /** Tokens of a thought; it may come to the end of a sentence after that. */
  budget?: number;
  /** The prompt has opened it. */
  inThought: boolean;
}

/** Tokens that a thought may have beyond its budget, to come to the end of a sentence. */
const graceOf = (budget: number): number => Math.min(32, budget >> 2);

/**
 * Follows the thought of an answer, and where it must end lets nothing come but its closing tag. A thought goes in circles when the same 1 to
 * LONGEST_CIRCLE tokens have come FEWEST_TURNS times one after another, LEAST_IN_CIRCLES tokens in all.
 */
export class ThoughtGuide implements Guide {
  /** Why it was ended, if it was. */
  ended: ThoughtEnd | undefined;
  readonly #split: ReasoningSplit;
  readonly #stream: TextStream;
  readonly #ids: number[] = [];
  readonly #close: readonly number[];
  #closing = 0;
  #text = "";

  constructor(
    private readonly bounds: ThoughtBounds,
    private readonly tokenizer: ServeTokenizer,
    private readonly vocabSize: number,
  ) {
    this.#split = new ReasoningSplit({ inThought: bounds.inThought });
    this.#stream = tokenizer.stream();
    const tag = tokenizer.idOf(THINK_CLOSE);
    this.#close = tag === undefined ? tokenizer.encode(THINK_CLOSE) : [tag];
    if (bounds.budget === 0 && bounds.inThought) this.ended = "budget";
  }

  ready(): undefined {}

  allowed(): Uint32Array | undefined {
    const next = this.ended && this.#close[this.#closing];
    return next === undefined ? undefined : bitsOf(this.vocabSize, [next]);
  }

  accept(id: number): void {
    if (this.ended !== undefined) {
      this.#closing++;
      return;
    }
    this.#text = id < this.tokenizer.vocabSize ? this.#stream.push(id) : "";
    this.#split.push(this.#text);
    if (!this.#split.inThought) return;
    this.#ids.push(id);
    const { budget } = this.bounds;
    const over = budget === undefined ? -1 : this.#ids.length - budget;
    if (budget !== undefined && over >= 0 && (over >= graceOf(budget) || /[.!?\n。！？]\s*$/.test(this.#text)))
      this.ended = "budget";
    else if (this.#ids.length % LOOK_EVERY === 0 && goesInCircles(this.#ids)) this.ended = "loop";
  }
}

const LOOK_EVERY = 16;
const LONGEST_CIRCLE = 256;
const FEWEST_TURNS = 4;
const LEAST_IN_CIRCLES = 128;

/** Whether the end of `ids` is the same run of tokens over and over. */
export function goesInCircles(ids: readonly number[]): boolean {
  const end = ids.length;
  for (let period = 1; period <= LONGEST_CIRCLE; period++) {
    const span = Math.max(FEWEST_TURNS * period, LEAST_IN_CIRCLES);
    if (span > end) return false;
    let same = period;
    while (same < span && ids[end - 1 - same] === ids[end - 1 - same + period]) same++;
    if (same >= span) return true;
  }
  return false;
}

/**
 * Binds the answer that follows a thought: the thought itself is free, but must be closed before the text may end. Where the prompt opens no thought, the first
 * token may open one.
 */
export class AnswerGuide implements Guide {
  readonly #split: ReasoningSplit;
  readonly #stream: TextStream;
  readonly #noEnd: Uint32Array;
  readonly #tags: readonly number[];
  #first = true;
  #answers: boolean;
  #joined: Uint32Array | undefined;

  constructor(
    private readonly inner: Guide,
    place: "thought" | "start" | "answer",
    stopIds: readonly number[],
    tokenizer: ServeTokenizer,
    private readonly vocabSize: number,
  ) {
    this.#split = new ReasoningSplit({ inThought: place === "thought" });
    this.#answers = place === "answer";
    this.#stream = tokenizer.stream();
    this.#noEnd = allBut(vocabSize, stopIds);
    this.#tags =
      place === "start"
        ? [THINK_OPEN, THINK_CLOSE].map((tag) => tokenizer.idOf(tag)).filter((id) => id !== undefined)
        : [];
  }

  ready(): Promise<void> | undefined {
    return this.#free ? undefined : this.inner.ready();
  }

  allowed(): Uint32Array | undefined {
    if (this.#free) return this.#noEnd;
    const bits = this.inner.allowed();
    if (bits === undefined || !this.#first || this.#tags.length === 0) return bits;
    this.#joined = Uint32Array.from({ length: Math.ceil(this.vocabSize / 32) }, (_, word) => bits[word] ?? 0);
    for (const id of this.#tags) this.#joined[id >>> 5]! |= 1 << (id & 31);
    return this.#joined;
  }

  accept(id: number): void {
    const tag = this.#first && this.#tags.includes(id);
    this.#first = false;
    if (this.#answers) return this.inner.accept(id);
    if (!tag && !this.#split.inThought) {
      this.#answers = true;
      return this.inner.accept(id);
    }
    this.#split.push(this.#stream.push(id));
    this.#answers = !this.#split.inThought;
  }

  get #free(): boolean {
    return !this.#answers && this.#split.inThought;
  }
}

/** What all of them allow. One alone is given back as it is. */
export function allOf(guides: readonly Guide[], vocabSize: number): Guide | undefined {
  if (guides.length < 2) return guides[0];
  const both = bitsOf(vocabSize, []);
  return {
    ready: () => {
      const waits = guides.map((guide) => guide.ready()).filter((wait) => wait !== undefined);
      return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
    },
    allowed: () => {
      const sets = guides.map((guide) => guide.allowed()).filter((bits) => bits !== undefined);
      if (sets.length < 2) return sets[0];
      both.fill(0xffffffff);
      for (const bits of sets) for (let word = 0; word < both.length; word++) both[word]! &= bits[word] ?? 0;
      return both;
    },
    accept: (id) => {
      for (const guide of guides) guide.accept(id);
    },
  };
}
