/** Guesses at what sequences say next, to be checked several at once: where they come from, whether they pay, how they fared. */
import { BLOCK_TOKENS } from "../engine.ts";
import type { Sequence } from "../sequence.ts";
import { Lookup } from "./lookup.ts";
import { Pace, type Way } from "./pace.ts";
import type { DraftStatistics } from "./statistics.ts";

export const DRAFTS = ["auto", "lookup", "off"] as const;

/** auto and lookup: what followed the same tokens earlier in the sequence is guessed, as long as that pays. */
export type DraftsKind = (typeof DRAFTS)[number];

/** More sequences than these share a pass's cost so well that guesses do not pay. */
const TOGETHER = 4;
/** How many guesses of a sequence may follow one another. */
const COUNTS = [1, 2, 4, 7];

/** What the next pass may check. */
export interface Proposal extends Way {
  guesses: readonly { kind: string; count: number; ids: readonly number[] }[];
}

/** Where guesses come from: what a sequence might say next, up to `count` ids, and of what kind that guess is. */
export type Guesser = (sequence: Sequence, count: number) => { kind: string; ids: readonly number[] } | undefined;

export interface DraftsOptions {
  /** By default what followed the same ids earlier in the sequence. */
  guesser?: Guesser;
  /** Decides what is worth it for so many sequences; by default measured while running. */
  pace?: (sequences: number) => Pick<Pace, "choose" | "took" | "learn" | "stepSeconds">;
}

const NO_GUESS = { kind: "none", count: 0, ids: [] };

export class Drafts {
  readonly #guesser: Guesser;
  readonly #newPace: NonNullable<DraftsOptions["pace"]>;
  readonly #paces = new Map<number, ReturnType<NonNullable<DraftsOptions["pace"]>>>();
  #statistics = { checks: 0, steps: 0, guessed: 0, accepted: 0 };
  #spent = 0;
  #saved = 0;
  /** What was not checked, to be compared with what is drawn. */
  #unused: readonly { kind: string; ids: readonly number[] }[] = [];

  constructor(vocabSize: number, { guesser = lookupGuesser(vocabSize), pace = () => new Pace() }: DraftsOptions = {}) {
    this.#guesser = guesser;
    this.#newPace = pace;
  }

  get statistics(): DraftStatistics {
    return { ...this.#statistics, gain: this.#spent > 0 ? 1 + this.#saved / this.#spent : 1 };
  }

  /** What is worth checking in the next pass of these sequences, with so many blocks to spare; undefined: they make a step. */
  propose(going: readonly Sequence[], blocks: number): Proposal | undefined {
    this.#unused = [];
    if (going.length > TOGETHER) return undefined;
    const most = COUNTS.at(-1)!;
    const found = going.map((one) => {
      const room = Math.min(most, one.promptLength + one.request.maxTokens - one.ids.length - 1);
      // who repeats its steps has drawn what comes already
      if (room <= 0 || one.ids.length !== one.length + 1) return NO_GUESS;
      const guess = this.#guesser(one, room);
      return guess ? { ...guess, count: guess.ids.length } : NO_GUESS;
    });
    this.#unused = found;
    const ways: Proposal[] = [];
    for (const most of COUNTS) {
      const guesses = found.map(({ kind, count, ids }) => ({
        kind,
        count: Math.min(most, count),
        ids: ids.slice(0, most),
      }));
      const longest = guesses.reduce((length, { count }) => Math.max(length, count), 0);
      if (longest < most) break;
      const needs = going.reduce((sum, { length }, i) => sum + more(length, guesses[i]!.count), 0);
      if (needs <= blocks) ways.push({ name: `${most}`, guesses });
    }
    if (ways.length === 0) return undefined;
    const chosen = this.#paceOf(going.length).choose(ways);
    if (chosen) this.#unused = [];
    return chosen;
  }

  /** These sequences made a pass: with what was proposed, or a step. Each gained so many tokens. */
  took(going: readonly Sequence[], proposal: Proposal | undefined, gained: readonly number[], seconds: number): void {
    if (going.length > TOGETHER) return;
    const pace = this.#paceOf(going.length);
    const step = pace.stepSeconds;
    if (step !== undefined) {
      const tokens = gained.reduce((sum, n) => sum + n, 0);
      this.#spent += seconds;
      // a step's own seconds are what it is compared with
      if (proposal) this.#saved += (step * tokens) / going.length - seconds;
    }
    pace.took(proposal?.name, seconds);
    this.#statistics[proposal ? "checks" : "steps"]++;
    for (const [i, { kind, ids }] of (proposal?.guesses ?? this.#unused).entries()) {
      const { ids: all } = going[i]!;
      const drawn = all.slice(all.length - gained[i]!);
      const tried = proposal ? ids.length : Math.min(1, ids.length);
      let right = 0;
      while (right < Math.min(tried, drawn.length) && drawn[right] === ids[right]) right++;
      for (let j = 0; j < right; j++) pace.learn(kind, true);
      // one that ended before it came was neither right nor wrong
      if (right < tried && right < drawn.length) pace.learn(kind, false);
      if (!proposal) continue;
      this.#statistics.guessed += tried;
      this.#statistics.accepted += right;
    }
  }

  #paceOf(count: number) {
    let pace = this.#paces.get(count);
    if (pace === undefined) this.#paces.set(count, (pace = this.#newPace(count)));
    return pace;
  }
}

/** Looks up in each sequence what followed. */
function lookupGuesser(vocabSize: number): Guesser {
  const lookups = new WeakMap<Sequence, Lookup>();
  return (one, count) => {
    let lookup = lookups.get(one);
    if (lookup === undefined) lookups.set(one, (lookup = new Lookup(vocabSize)));
    const guess = lookup.guess(one.ids, count);
    return guess && { kind: kindOf(guess.alike), ids: guess.ids };
  };
}

/** Guesses from longer runs that agree are right more often. */
const kindOf = (alike: number): string => (alike < 3 ? "lookup 2" : alike < 6 ? "lookup 3 to 5" : "lookup 6 and more");

/** Blocks that so many guesses take besides those of a step. */
const more = (length: number, count: number): number =>
  Math.ceil((length + 1 + count) / BLOCK_TOKENS) - Math.ceil((length + 1) / BLOCK_TOKENS);
