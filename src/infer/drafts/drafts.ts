/** Guesses at what sequences say next, to be checked several at once: where they come from, whether they pay, how they fared. */
import { BLOCK_TOKENS, type LanguageModel } from "../engine.ts";
import type { Sequence } from "../sequence.ts";
import { asksLookup, asksModule, type DraftsKind } from "./kinds.ts";
import { Lookup } from "./lookup.ts";
import { Pace, type Way } from "./pace.ts";
import type { DraftStatistics } from "./statistics.ts";

/** More sequences than these share a pass's cost so well that guesses do not pay. */
const TOGETHER = 4;
/** How many guesses of a sequence may follow one another. */
const COUNTS = [1, 2, 4, 7];
const MOST = 7;

/** What the next pass may check. */
export interface Proposal extends Way {
  guesses: readonly { kind: string; count: number; ids: readonly number[] }[];
  /** The ids are not known yet: the model's own module guesses them, one of each at most, in the pass itself. */
  byModule?: true;
}

/** Where guesses come from: what a sequence might say next, up to `count` ids, and of what kind that guess is. */
export type Guesser = (sequence: Sequence, count: number) => { kind: string; ids: readonly number[] } | undefined;

export interface DraftsOptions {
  /** By default what followed the same ids earlier in the sequence. */
  guesser?: Guesser;
  /** Whether the model's own module guesses too. */
  module?: boolean;
  /** Decides what is worth it for so many sequences; by default measured while running. */
  pace?: (sequences: number) => Pick<Pace, "choose" | "took" | "learn" | "stepSeconds">;
}

const NO_GUESS = { kind: "none", count: 0, ids: [] };
const MODULE_GUESS = { kind: "mtp", count: 1, ids: [] };

export class Drafts {
  readonly #guesser: Guesser;
  readonly #module: boolean;
  readonly #newPace: NonNullable<DraftsOptions["pace"]>;
  readonly #paces = new Map<number, ReturnType<NonNullable<DraftsOptions["pace"]>>>();
  #statistics = { checks: 0, steps: 0, guessed: 0, accepted: 0 };
  #spent = 0;
  #saved = 0;
  /** What was not checked, to be compared with what is drawn. */
  #unused: readonly { kind: string; ids: readonly number[] }[] = [];

  constructor(
    vocabSize: number,
    { guesser = lookupGuesser(vocabSize), module = false, pace = () => new Pace() }: DraftsOptions = {},
  ) {
    this.#guesser = guesser;
    this.#module = module;
    this.#newPace = pace;
  }

  /** As asked for, of what there is in a model; undefined where that is nothing. */
  static of(kind: DraftsKind, model: Pick<LanguageModel, "vocabSize" | "checks" | "drafts">): Drafts | undefined {
    const [module, lookup] = [asksModule(kind) && model.drafts === true, asksLookup(kind) && model.checks === true];
    if (!module && !lookup) return undefined;
    return new Drafts(model.vocabSize, { module, ...(lookup ? {} : { guesser: () => undefined }) });
  }

  get statistics(): DraftStatistics {
    return { ...this.#statistics, gain: this.#spent > 0 ? 1 + this.#saved / this.#spent : 1 };
  }

  /** What is worth checking in the next pass of these sequences, with so many blocks to spare; undefined: they make a step. */
  propose(going: readonly Sequence[], blocks: number): Proposal | undefined {
    this.#unused = [];
    if (going.length > TOGETHER) return undefined;
    const rooms = going.map(roomOf);
    const found = going.map((one, i) => {
      const guess = rooms[i]! > 0 ? this.#guesser(one, Math.min(MOST, rooms[i]!)) : undefined;
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
      ways.push({ name: `${most}`, guesses });
    }
    if (this.#module && going.every(goesOn) && rooms.some((room) => room > 0))
      ways.push({ name: "mtp", guesses: rooms.map((room) => (room > 0 ? MODULE_GUESS : NO_GUESS)), byModule: true });
    const affordable = ways.filter(
      ({ guesses }) => going.reduce((sum, { length }, i) => sum + more(length, guesses[i]!.count), 0) <= blocks,
    );
    if (affordable.length === 0) return undefined;
    const chosen = this.#paceOf(going.length).choose(affordable);
    if (chosen && !chosen.byModule) this.#unused = [];
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
    for (const [i, { ids: all }] of going.entries()) {
      const drawn = all.slice(all.length - gained[i]!);
      const unused = this.#unused[i];
      if (unused) learn(pace, unused.kind, unused.ids.slice(0, 1), drawn);
      const guess = proposal?.guesses[i];
      if (!guess) continue;
      this.#statistics.guessed += guess.ids.length;
      this.#statistics.accepted += learn(pace, guess.kind, guess.ids, drawn);
    }
  }

  #paceOf(count: number) {
    let pace = this.#paces.get(count);
    if (pace === undefined) this.#paces.set(count, (pace = this.#newPace(count)));
    return pace;
  }
}

/** Whether what a sequence draws next is new: one that repeats its steps has drawn it already. */
const goesOn = ({ ids, length }: Sequence): boolean => ids.length === length + 1;

/** How many guesses there is room for. */
const roomOf = (one: Sequence): number =>
  goesOn(one) ? Math.max(0, one.promptLength + one.request.maxTokens - one.ids.length - 1) : 0;

/** Learns from what was drawn how many of the guesses were right, and says so. One that an answer ended before was neither right nor wrong. */
function learn(pace: Pick<Pace, "learn">, kind: string, guesses: readonly number[], drawn: readonly number[]): number {
  let right = 0;
  while (right < Math.min(guesses.length, drawn.length) && drawn[right] === guesses[right]) right++;
  for (let j = 0; j < right; j++) pace.learn(kind, true);
  if (right < guesses.length && right < drawn.length) pace.learn(kind, false);
  return right;
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
