import { DataError } from "../../src/errors.ts";
import {
  type LanguageModel,
  type Line,
  ModelEngine,
  type ModelEngineOptions,
  scoresOf,
} from "../../src/infer/index.ts";
import type { ServedModel } from "../../src/serve/served.ts";
import type { ServeTokenizer } from "../../src/serve/tokens.ts";
import type { ChatMessage } from "../../src/tokenizer/index.ts";

/** One token per byte, and five more. */
export const BOS = 256,
  EOS = 257,
  THINK = 258,
  END_THINK = 259,
  ASSISTANT = 260;
const ADDED = ["<bos>", "<eos>", "<think>", "</think>", "<assistant>"];
const SPECIAL = new Set([BOS, EOS, ASSISTANT]);
export const VOCAB = 261;

export const bytesTokenizer: ServeTokenizer = {
  vocabSize: VOCAB,
  bosId: BOS,
  eosIds: [EOS],
  bytesPerToken: "<assistant>".length,
  encode(text, { special = true } = {}) {
    const parts = special ? text.split(/(<bos>|<eos>|<think>|<\/think>|<assistant>)/) : [text];
    return parts.flatMap((part, i) =>
      i % 2 === 1 ? [256 + ADDED.indexOf(part)] : Array.from(new TextEncoder().encode(part)),
    );
  },
  bytesOf: (id) => (id < 256 ? Uint8Array.of(id) : new TextEncoder().encode(ADDED[id - 256])),
  idOf: (token) => (ADDED.includes(token) ? 256 + ADDED.indexOf(token) : undefined),
  decode(ids, options) {
    const stream = this.stream(options);
    return Array.from(ids, (id) => stream.push(id)).join("") + stream.flush();
  },
  stream({ skipSpecial = false } = {}) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => (skipSpecial && SPECIAL.has(id) ? "" : decoder.decode(this.bytesOf(id), { stream: true })),
      flush: () => decoder.decode(),
    };
  },
  surrounding: { before: [], after: [] },
  encodeChat(messages: readonly ChatMessage[], { addGenerationPrompt, thinking, prefill = {} } = {}) {
    if (messages.at(-1)?.content === "unrenderable") throw new DataError("the template refuses this");
    const text = `<bos>${messages.map((m) => `${m.role}: ${m.content}\n`).join("")}${addGenerationPrompt ? "<assistant>" : ""}${thinking === undefined ? "" : thinking ? "<think>" : "</think>"}${prefill.thought ?? ""}${prefill.thought !== undefined && prefill.answer !== undefined ? "</think>" : ""}${prefill.answer ?? ""}`;
    return { text, ids: this.encode(text), opensThought: thinking === true && prefill.answer === undefined };
  },
};

export interface FakeModel extends LanguageModel {
  version: number;
  /** Passes and tokens run so far, and how many sequences shared the largest. */
  readonly counts: { passes: number; tokens: number; widest: number };
  /** The ids that each block holds, as they may be set. */
  readonly blocks: number[][];
}

export interface FakeModelOptions {
  contextTokens?: number;
  delayMs?: number;
  vocabSize?: number;
  /** What the model's own module guesses to follow all those ids. */
  module?: (tokens: readonly number[]) => number;
}

/**
 * A model whose logits at a place depend on every token before it, which it finds by the blocks alone. `next(tokens)` names the likely next token, or
 * gives all logits; `delayMs` makes a pass take time. It checks that it is called as the seam allows.
 */
export function fakeModel(
  next: (tokens: readonly number[]) => number | Float32Array,
  options: FakeModelOptions = {},
): FakeModel {
  const vocabSize = options.vocabSize ?? VOCAB;
  const contextTokens = options.contextTokens ?? 512;
  const counts = { passes: 0, tokens: 0, widest: 0 };
  const blocks: number[][] = [[]];
  /** The ids that the module has seen, as they may be set. */
  const seenBlocks: number[][] = [[]];
  let running = false;
  const blockIn = (all: readonly number[][], block: number | undefined): number[] => {
    const held = block === undefined || block === 0 ? undefined : all[block];
    if (held === undefined) throw new Error(`fake model: no block ${block}`);
    return held;
  };
  const blockOf = (block: number | undefined): number[] => blockIn(blocks, block);
  const { module } = options;
  /** Its guess, if it has seen all ids but the first, for which it has no hidden state. */
  const guessOf = (held: readonly number[], { start, table, seen = [] }: Line): number => {
    if (module === undefined || seen.length < 2) throw new Error("fake model: no module, or nothing seen");
    const first = start + 1 - seen.length;
    for (const [i, id] of seen.entries()) blockIn(seenBlocks, table[(first + i) >> 4])[(first + i) & 15] = id;
    for (let at = 1; at <= start; at++)
      if (blockIn(seenBlocks, table[at >> 4])[at & 15] !== held[at])
        throw new Error(`fake model: the module has not seen the id at ${at}`);
    return module(held);
  };
  return {
    vocabSize,
    contextTokens,
    version: 0,
    checks: true,
    drafts: module !== undefined,
    hiddenSize: stateOf([]).length,
    blockBytes: 1024,
    counts,
    blocks,
    reserve(count) {
      while (blocks.length <= count) {
        blocks.push([]);
        seenBlocks.push([]);
      }
    },
    copyBlock(from, to) {
      blocks[to] = [...blockOf(from)];
      seenBlocks[to] = [...blockIn(seenBlocks, from)];
    },
    clearBlock(block) {
      blocks[block] = [];
    },
    async run({ kind, lines }) {
      if (running) throw new Error("fake model: two passes at once");
      if (lines.length === 0) throw new Error("fake model: nobody in a pass");
      running = true;
      counts.passes++;
      counts.widest = Math.max(counts.widest, lines.length);
      try {
        if (options.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
        else await null;
        const rows: Float32Array[] = [];
        const hidden: number[] = [];
        const temperatures: number[] = [];
        const guesses: number[] = [];
        for (const line of lines) {
          const { start, table, wants, temperature } = line;
          let { ids } = line;
          if (
            ids.length === 0 ||
            start + ids.length + (kind === "draft" ? 1 : 0) > contextTokens ||
            ((kind === "step" || kind === "draft") && ids.length > 1) ||
            (kind !== "read" && start === 0)
          )
            throw new Error("fake model: no tokens, or too many");
          counts.tokens += ids.length;
          const held = Array.from({ length: start }, (_, at) => {
            const id = blockOf(table[at >> 4])[at & 15];
            if (id === undefined) throw new Error(`fake model: nothing at position ${at}`);
            return id;
          });
          if (kind === "draft") {
            const guess = guessOf([...held, ids[0]!], line);
            guesses.push(guess);
            ids = [ids[0]!, guess];
          }
          for (let t = 0; t < ids.length; t++) {
            if (kind !== "draft" || (start + t) >> 4 < table.length)
              blockOf(table[(start + t) >> 4])[(start + t) & 15] = ids[t]!;
            held.push(ids[t]!);
            if (wants === "none" || (wants === "last" && t < ids.length - 1)) continue;
            const answer = next(held);
            const row = new Float32Array(vocabSize);
            if (typeof answer === "number") row[answer] = 30;
            else row.set(answer);
            rows.push(row);
            hidden.push(...stateOf(held));
            temperatures.push(temperature);
          }
        }
        const logits = new Float32Array(rows.length * vocabSize);
        for (const [l, row] of rows.entries()) logits.set(row, l * vocabSize);
        return { ...scoresOf(logits, vocabSize, temperatures), guesses, hidden: Float32Array.from(hidden) };
      } finally {
        running = false;
      }
    },
  };
}

/** What a fake model's head is given after these tokens: how many they are, the last, the one before, and one that is always 1. */
export const stateOf = (tokens: readonly number[]): number[] => [
  tokens.length,
  tokens.at(-1) ?? 0,
  tokens.at(-2) ?? 0,
  1,
];

/** Logits that look random and depend on all tokens: a wrong cache, order or offset changes them. */
export function hashLogits(tokens: readonly number[], vocabSize: number = VOCAB): Float32Array {
  let state = 2166136261;
  for (const id of tokens) state = Math.imul(state ^ id, 16777619);
  return Float32Array.from({ length: vocabSize }, (_, v) => {
    let z = Math.imul(state ^ Math.imul(v + 1, 0x9e3779b9), 0x85ebca6b);
    z ^= z >>> 15;
    z = Math.imul(z, 0xc2b2ae35);
    return ((z ^ (z >>> 13)) >>> 0) / 2 ** 29;
  });
}

/** A model that answers `<assistant>` with the text that `script` gives for the prompt before it
 * (without its first token, `<bos>`), then ends. */
export function scriptModel(
  script: (prompt: string) => string,
  options: { contextTokens?: number; delayMs?: number } = {},
): FakeModel {
  return fakeModel((tokens) => {
    const at = tokens.lastIndexOf(ASSISTANT);
    const prompt = bytesTokenizer.decode(tokens.slice(1, at));
    const answer = bytesTokenizer.encode(script(prompt));
    return answer[tokens.length - at - 1] ?? EOS;
  }, options);
}

const engines = new WeakMap<LanguageModel, ModelEngine>();

/** Sequences that a served model's engine has under way. */
export const underWay = (model: LanguageModel): number => engines.get(model)?.status().active ?? 0;

export function served(model: LanguageModel, options?: ModelEngineOptions): ServedModel {
  const engine = new ModelEngine(model, options);
  engines.set(model, engine);
  return {
    engine,
    tokenizer: bytesTokenizer,
    info: {
      id: "fake",
      createdSeconds: 1_700_000_000,
      architecture: "fake",
      parameters: { total: 10, active: 5 },
      layers: 1,
      contextTokens: model.contextTokens,
      vocabSize: model.vocabSize,
      reasons: true,
    },
  };
}

/** Waits until `done`, for what another task must bring about; what never comes is caught by the test's own time limit. */
export async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
}
