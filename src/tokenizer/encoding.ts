/** Text to ids: cut by the stages, merged by the library, remembered by piece. */
import { ConfigError } from "../errors.ts";
import { type AddedToken, Matcher } from "./added.ts";
import type { CheckedTokenizer } from "./check.ts";
import { flat } from "./flat.ts";
import { BPE } from "./library.ts";
import { normalizerOf, type Stage, stagesOf } from "./stages.ts";

/** Ids of pieces up to this length are remembered, for so many pieces of each stage; then the memory starts afresh. */
const CACHED_CHARS = 48;
const CACHED_PIECES = 200_000;

/**
 * Text -> ids by the rules of a tokenizer.json: added tokens are found, what lies between is normalized, cut stage by stage and merged.
 * Merging is @huggingface/tokenizers'; pieces already met are looked up (docs/decisions/030). Throws ConfigError for rules that cannot be.
 */
export class Encoding {
  private readonly model: BPE;
  /** What is done to a text before merging; each stage treats each piece by itself. */
  private readonly stages: Stage[];
  /** For each stage: a piece before it -> the ids that come of it in the end. */
  private readonly known: Map<string, number[]>[];
  private readonly all: Finder;
  private readonly words: Finder;
  private readonly controls: Matcher;

  constructor(
    json: CheckedTokenizer,
    added: readonly AddedToken[],
    private readonly controlIds: ReadonlySet<number>,
  ) {
    const normalize = normalizerOf(json.normalizer);
    this.stages = stagesOf(json.pre_tokenizer);
    this.known = this.stages.map(() => new Map());
    try {
      this.model = new BPE(json.model);
    } catch (error) {
      throw new ConfigError(`tokenizer.json: the tokenizer cannot be built: ${(error as Error).message}`, {
        cause: error,
      });
    }
    this.all = new Finder(added, normalize);
    this.words = new Finder(
      added.filter((token) => !controlIds.has(token.id)),
      normalize,
    );
    this.controls = new Matcher(
      added.filter((token) => controlIds.has(token.id)).map((token) => [token.content, token]),
    );
  }

  /** `special`: the text of a control token becomes that token. */
  encode(text: string, special: boolean): number[] {
    const ids: number[] = [];
    this.encodeInto(ids, text, special ? this.all : this.words);
    return ids;
  }

  /** A text that is cut at its control tokens first; `uncover` is applied to what lies between, which is text and nothing else. */
  encodeBetween(text: string, uncover: (part: string) => string): number[] {
    const ids: number[] = [];
    for (const part of this.controls.cut(text))
      if (typeof part === "string") this.encodeInto(ids, uncover(part), this.words);
      else ids.push(part.id);
    return ids;
  }

  private encodeInto(ids: number[], text: string, finder: Finder): void {
    for (const part of finder.cut(text)) {
      if (typeof part !== "string") ids.push(part.id);
      else if (this.stages.length > 0) this.encodeFrom(0, part, ids);
      else this.encodeWord(part, ids);
    }
  }

  private encodeFrom(stage: number, piece: string, out: number[]): void {
    const known = piece.length <= CACHED_CHARS ? this.known[stage] : undefined;
    let ids = known?.get(piece);
    if (ids === undefined) {
      ids = known === undefined ? out : [];
      for (const part of this.stages[stage]?.(piece) ?? [])
        if (stage + 1 < this.stages.length) this.encodeFrom(stage + 1, part, ids);
        else this.encodeWord(part, ids);
      if (known === undefined) return;
      if (known.size >= CACHED_PIECES) known.clear();
      known.set(flat(piece), ids);
    }
    for (const id of ids) out.push(id);
  }

  /** Merges one word. Merges that spell a control token are undone at its first character. */
  private encodeWord(word: string, out: number[]): void {
    for (const token of this.model.encode([word])) {
      const id = this.model.tokens_to_ids.get(token);
      if (id === undefined) continue;
      // what is one character cannot be undone
      if (!this.controlIds.has(id) || token.length <= 1) out.push(id);
      else for (const part of [token.slice(0, 1), token.slice(1)]) this.encodeWord(part, out);
    }
  }
}

/** Looks for added tokens as Hugging Face does: first those that are taken as they stand, then, in the normalized text, the others. */
class Finder {
  private readonly asTheyStand: Matcher;
  private readonly normalized: Matcher;

  constructor(
    tokens: readonly AddedToken[],
    private readonly normalize: ((text: string) => string) | undefined,
  ) {
    this.asTheyStand = new Matcher(tokens.filter((token) => !token.normalized).map((token) => [token.content, token]));
    const others = tokens
      .filter((token) => token.normalized)
      .map((token) => [normalize?.(token.content) ?? token.content, token] as const);
    this.normalized = new Matcher(others.filter(([text]) => text !== ""));
  }

  /** The tokens of a text, and the normalized stretches between them. */
  *cut(text: string): Generator<string | AddedToken> {
    for (const part of this.asTheyStand.cut(text)) {
      if (typeof part !== "string") yield part;
      else yield* this.normalized.cut(this.normalize?.(part) ?? part);
    }
  }
}
