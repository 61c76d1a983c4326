/** What an engine and a language model are: the interfaces between those who ask for tokens and those who compute them. */
import { SumbiError } from "../errors.ts";
import type { ModelConfig } from "../model/index.ts";
import type { DraftStatistics } from "./drafts/statistics.ts";
import type { WeightsAbout } from "./weights.ts";

/** How the next token is drawn. Defaults: see `SAMPLING_DEFAULTS`. */
export interface Sampling {
  /** 0 takes the likeliest token; otherwise logits are divided by it before the cuts below. */
  temperature: number;
  /** Keep the smallest set of likeliest tokens that holds at least this share of the probability; 1 keeps all. */
  topP: number;
  /** Keep this many of the likeliest tokens; 0 keeps all. */
  topK: number;
  /** Drop tokens less likely than this share of the likeliest one; 0 drops none. */
  minP: number;
  /** Subtracted from a token's logit once per time it was generated already. */
  frequencyPenalty: number;
  /** Subtracted from a token's logit when it was generated already. */
  presencePenalty: number;
  /** The logits of tokens in the prompt, and of those generated, are divided by it where positive, multiplied where not (arXiv:1909.05858); 1 changes nothing. */
  repetitionPenalty: number;
  /** Added to the logits of these token ids. */
  logitBias: ReadonlyMap<number, number>;
  /** Same seed, same model, same prompt: same tokens. Any safe integer. */
  seed: number;
}

export const SAMPLING_DEFAULTS: Omit<Sampling, "seed"> = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
};

/** Says which tokens may come next: a grammar, an end that must not come yet, a thought that has to end. One for each sequence. */
export interface Guide {
  /** Where what may come next is still being worked out: resolves when that is over, soon (all wait for it), and never rejects. */
  ready(): Promise<void> | undefined;
  /** Bit id % 32 of word id >> 5 is 1 where a token may come; undefined: any may. Called when ready; valid until `accept`. What it throws ends the sequence. */
  allowed(): Uint32Array | undefined;
  /** This token was drawn. */
  accept(id: number): void;
}

/** A token and its natural-log probability under the model itself: before temperature, cuts, penalties and bias. */
export interface ScoredId {
  id: number;
  logprob: number;
}

/** The score of one prompt token given those before it; the first token of a prompt has none. */
export interface TokenScore {
  id: number;
  logprob: number | null;
  /** The likeliest tokens at this place, best first; null for the first token. */
  top: ScoredId[] | null;
}

/** One generated token. */
export interface GeneratedToken {
  id: number;
  /** Present when `GenerateRequest.logprobs` was given. */
  logprob?: number;
  top?: ScoredId[];
  /** On the first token only: how many of the prompt's tokens were not read, since a prompt before began alike. */
  cachedTokens?: number;
  /** It was guessed and only checked: the pass that drew the token before it drew this one too. */
  guessed?: true;
  /** How many guesses it refuted. */
  refuted?: number;
  /** On the last token only: an end-of-text id was drawn ("stop"; it is this token) or the limit was reached. */
  finish?: "stop" | "length";
}

export interface GenerateRequest {
  /** At least one token id. */
  prompt: readonly number[];
  /** At most this many tokens are generated; the prompt and they must fit in the context. */
  maxTokens: number;
  sampling: Sampling;
  /** Ids that end the text. The drawn one is still yielded, with `finish: "stop"`. */
  stopIds: readonly number[];
  /** Narrows what may be drawn, token by token. Of the log probabilities it changes nothing: they are the model's own. */
  guide?: Guide;
  /** How many likeliest alternatives to report per token; absent: no log probabilities at all. */
  logprobs?: number;
  /** Also scores the prompt, in the same passes, and hands the scores over before the first token. */
  scorePrompt?: { top: number; receive(scores: TokenScore[]): void };
}

/**
 * One model that turns token ids into token ids. Requests may overlap: those under way share each step.
 * Every stream ends when its consumer stops reading (`return`) or `signal` aborts (it then throws the signal's reason).
 */
export interface Engine {
  readonly limits: { contextTokens: number; vocabSize: number };
  /** Streams tokens as they are drawn. Throws SumbiError when the request cannot be met. Clients take turns, whatever each asks for. */
  generate(request: GenerateRequest, signal?: AbortSignal, client?: string): AsyncIterable<GeneratedToken>;
  /** Scores every token of a text, reporting `top` alternatives at each place. */
  score(tokens: readonly number[], top: number, signal?: AbortSignal, client?: string): Promise<TokenScore[]>;
  /** Numbers in a vector of a text; undefined where the model does not tell what its head is given. */
  readonly vectorSize?: number | undefined;
  /** One vector [D] of length 1 for a text: the mean of what the head is given of its tokens, or that of the last. */
  embed?(
    tokens: readonly number[],
    pooling: "mean" | "last",
    signal?: AbortSignal,
    client?: string,
  ): Promise<Float32Array<ArrayBuffer>>;
  /** How guesses fared; undefined where none are made. */
  readonly drafts?: DraftStatistics | undefined;
  /** What the engine is doing now. */
  status(): { active: number; waiting: number };
  /** Aborts what runs and refuses what comes. */
  close(): Promise<void>;
}

/** Positions in a block of the cache. */
export const BLOCK_TOKENS = 16;

/** Tokens of the vocabulary whose weights are summed together, for drawing. */
export const RUN = 64;

/** What one pass adds to one sequence. */
export interface Line {
  /** The ids that it reads, at least one; exactly one in a step and a draft. */
  ids: ArrayLike<number>;
  /** How many positions stand before them. A step or a check has at least one. */
  start: number;
  /** The blocks of its positions, old and new, in their order; those that new positions fall in are its own. */
  table: ArrayLike<number>;
  /** The rows whose scores are wanted. */
  wants: "none" | "last" | "all";
  /** 0 counts as 1 here: who takes the likeliest reads the logits. */
  temperature: number;
  /** Of a draft: the ids of the latest positions, its own last: all for which the model's own module was not asked yet, two at least. */
  seen?: readonly number[];
}

/**
 * One run of the model: prompts are read, each sequence makes a step, or several at once with ids that are known or guessed. draft: two at once, the second with
 * the id that the model's own module holds likeliest; two rows of scores of each, and of the second nothing is kept where its blocks end before.
 */
export interface Pass {
  kind: "read" | "step" | "check" | "draft";
  lines: readonly Line[];
}

/** Scores of L rows, as the lines wanted them, in their order. Valid until the next pass. */
export interface Scores {
  /** [L, V]. */
  logits: Float32Array;
  /** [L, ⌈V / RUN⌉ · RUN]: e^((logit − largest) / temperature), 0 after the vocabulary's end. */
  weights: Float32Array;
  /** [L, ⌈V / RUN⌉]: the weights of RUN tokens in a row, added up. */
  sums: Float32Array;
  /** [L]: log Σ e^logit. */
  logSums: Float64Array;
  /** [L, D]: what the head was given (after the last norm), of passes that read; where the model tells. */
  hidden?: Float32Array;
  /** [L, layers · K]: the experts that each row's token chose; where the model was asked to tell. */
  experts?: Float32Array;
  /** The second id of each line of a draft. */
  guesses?: readonly number[];
}

/**
 * What the engine needs of a model. One `run` at a time. The model holds blocks of BLOCK_TOKENS positions each, numbered from 1; who holds which is
 * the engine's business.
 */
export interface LanguageModel {
  readonly vocabSize: number;
  readonly contextTokens: number;
  /** The config that it computes with, where the weights showed it to differ from config.json. */
  readonly config?: ModelConfig;
  /** What a person should know about its weights. */
  readonly notes?: readonly string[];
  /** In what form its weights are. */
  readonly weightsAbout?: WeightsAbout;
  /** Moves when weights change: what was read before is then read anew. */
  readonly version?: number;
  /** D, where it tells `hidden`. */
  readonly hiddenSize?: number;
  /** Whether it runs passes of kind "check", and of kind "draft". */
  readonly checks?: boolean;
  readonly drafts?: boolean;
  /** Bytes that a block takes. */
  readonly blockBytes: number;
  /** Makes room for blocks 1 to `blocks`; what they hold stays. */
  reserve(blocks: number): void;
  copyBlock(from: number, to: number): void;
  /** Forgets what a block holds, where that may not be finite. */
  clearBlock(block: number): void;
  run(pass: Pass): Promise<Scores>;
  /** What its blocks hold, for keeping it beyond memory; absent where nobody asked which weights these are. */
  readonly stored?: StoredBlocks;
  dispose?(): Promise<void> | void;
}

/** Blocks as bytes. */
export interface StoredBlocks {
  /** Bytes of one block. */
  readonly bytes: number;
  /** What decides what a block holds besides its ids: weights, config, arithmetic. Runs the model, and must come before anybody holds blocks. */
  identity(): Promise<string>;
  read(block: number): Uint8Array<ArrayBuffer>;
  write(block: number, bytes: Uint8Array): void;
}

/** The engine's queue is full; worth trying again. */
export class BusyError extends SumbiError {}

/** The engine was closed while, or before, a request ran. */
export class EngineClosedError extends SumbiError {
  constructor() {
    super("engine: closed; it takes no more requests");
  }
}
