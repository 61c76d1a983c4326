import { DataError } from "../../src/errors.ts";
import type { LanguageModel, SequenceCache } from "../../src/infer/index.ts";
import { ModelEngine, type ModelEngineOptions } from "../../src/infer/index.ts";
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
  encodeChat(messages: readonly ChatMessage[], { addGenerationPrompt, thinking } = {}) {
    if (messages.at(-1)?.content === "unrenderable") throw new DataError("the template refuses this");
    const text = `<bos>${messages.map((m) => `${m.role}: ${m.content}\n`).join("")}${addGenerationPrompt ? "<assistant>" : ""}${thinking === undefined ? "" : thinking ? "<think>" : "</think>"}`;
    return { text, ids: this.encode(text), opensThought: thinking === true };
  },
};

interface FakeCache extends SequenceCache {
  tokens: number[];
  released: boolean;
}

export interface FakeModel extends LanguageModel {
  /** Forward passes, tokens run and caches alive so far. */
  readonly counts: { passes: number; tokens: number; caches: number };
}

/**
 * A model whose logits at a place depend on every token before it. `next(tokens)` names the likely next token, or
 * gives all logits; `delayMs` makes a pass take time. It checks that it is called as the seam allows.
 */
export function fakeModel(
  next: (tokens: readonly number[]) => number | Float32Array,
  options: { contextTokens?: number; delayMs?: number; vocabSize?: number } = {},
): FakeModel {
  const vocabSize = options.vocabSize ?? VOCAB;
  const contextTokens = options.contextTokens ?? 512;
  const counts = { passes: 0, tokens: 0, caches: 0 };
  const shared = new Float32Array(vocabSize * 512);
  let running = false;
  return {
    vocabSize,
    contextTokens,
    counts,
    newCache() {
      counts.caches++;
      const cache: FakeCache = {
        tokens: [],
        released: false,
        get length() {
          return this.tokens.length;
        },
        release() {
          if (this.released) throw new Error("fake model: cache released twice");
          this.released = true;
          counts.caches--;
        },
      };
      return cache;
    },
    async forward(tokens, cache, { all = false } = {}) {
      const { released, tokens: held } = cache as FakeCache;
      if (running) throw new Error("fake model: two forward passes at once");
      if (released) throw new Error("fake model: the cache was released");
      if (tokens.length === 0 || held.length + tokens.length > contextTokens)
        throw new Error("fake model: no tokens, or too many");
      running = true;
      try {
        counts.passes++;
        counts.tokens += tokens.length;
        shared.fill(NaN);
        if (options.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
        else await null;
        for (let t = 0; t < tokens.length; t++) {
          held.push(tokens[t]!);
          if (!all && t < tokens.length - 1) continue;
          const row = shared.subarray(all ? t * vocabSize : 0, (all ? t + 1 : 1) * vocabSize);
          const answer = next(held);
          if (typeof answer === "number") {
            row.fill(0);
            row[answer] = 30;
          } else row.set(answer);
        }
      } finally {
        running = false;
      }
      return shared.subarray(0, (all ? tokens.length : 1) * vocabSize);
    },
  };
}

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

export function served(model: LanguageModel, options?: ModelEngineOptions): ServedModel {
  return {
    engine: new ModelEngine(model, options),
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
