/** A GGUF file's metadata as the small files of a Hugging Face folder: config, tokenizer, chat template, generation settings. */
import { CheckpointError } from "../../errors.ts";
import { quoted } from "../header.ts";
import { readGguf } from "./file.ts";
import { type GgufHeader, type MetadataValue, readGgufHeader } from "./header.ts";
import { PRE_NAMES, preTokenizerOf } from "./pretokenizers.ts";
import { TOKEN_TYPE } from "./types.ts";

/** Marks that end a turn whatever the metadata calls them, as far as the vocabulary has them as control tokens: llama.cpp's list. */
const TURN_ENDS = new Set([
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|eom_id|>",
  "<｜end▁of▁sentence｜>",
]);

/** The files whose text `ggufTexts` makes. */
export type GgufTexts = Record<
  "config.json" | "tokenizer.json" | "tokenizer_config.json" | "generation_config.json",
  string
> & {
  "chat_template.jinja"?: string;
};

/** Throws CheckpointError for metadata that makes no tokenizer, or one of a kind that is not built. */
export function ggufTexts(path: string): GgufTexts {
  const { header, json } = readGguf(path);
  const template = header.metadata.get("tokenizer.chat_template");
  return {
    "config.json": JSON.stringify(json),
    ...tokenizerTexts(header),
    ...(typeof template === "string" && template !== "" ? { "chat_template.jinja": template } : {}),
  };
}

/** Whether a file is meant to have a tokenizer. */
export function hasWords(path: string): boolean {
  const model = readGgufHeader(path).metadata.get("tokenizer.ggml.model");
  return model !== undefined && model !== "no_vocab" && model !== "none";
}

class Vocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];

  constructor(readonly header: GgufHeader) {
    const model = this.get("model");
    if (model !== "gpt2")
      throw this.fail("model", '"gpt2" (byte-level BPE; other kinds of tokenizers are not built)', model);
    const tokens = this.get("tokens");
    if (!isTexts(tokens) || tokens.length === 0) throw this.fail("tokens", "a list of texts", tokens);
    const types = this.get("token_type") ?? tokens.map(() => TOKEN_TYPE.normal);
    if (!isNumbers(types) || types.length !== tokens.length)
      throw this.fail("token_type", `a number for each of the ${tokens.length} tokens`, types);
    this.tokens = tokens;
    this.types = types;
  }

  get(name: string): MetadataValue | undefined {
    return this.header.metadata.get(`tokenizer.ggml.${name}`);
  }

  fail(name: string, expected: string, got: unknown): CheckpointError {
    const shown = Array.isArray(got) ? `a list of ${got.length}` : got === undefined ? "nothing" : quoted(String(got));
    return new CheckpointError(`${this.header.path}: tokenizer.ggml.${name}: expected ${expected}, got ${shown}`);
  }

  /** A token that the metadata names by its id. */
  id(name: string): number | undefined {
    const id = this.get(`${name}_token_id`);
    if (id === undefined) return undefined;
    if (typeof id !== "number" || !Number.isInteger(id)) throw this.fail(`${name}_token_id`, "an id", id);
    // ggml writes 2^32 − 1 for none; ids past the vocabulary it passes over too
    return id >= 0 && id < this.tokens.length ? id : undefined;
  }

  flag(name: string, absent: boolean): boolean {
    const value = this.get(name) ?? absent;
    if (typeof value !== "boolean") throw this.fail(name, "true or false", value);
    return value;
  }
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((text) => typeof text === "string");
const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => typeof n === "number");

function tokenizerTexts(header: GgufHeader) {
  const vocabulary = new Vocabulary(header);
  const pre = vocabulary.get("pre") ?? "default";
  const cut = typeof pre === "string" ? preTokenizerOf(pre) : undefined;
  if (cut === undefined) throw vocabulary.fail("pre", `one of ${PRE_NAMES.join(", ")}`, pre);
  const merges = vocabulary.get("merges");
  if (!isTexts(merges)) throw vocabulary.fail("merges", "a list of texts", merges);

  const [bos, eos, pad] = [vocabulary.id("bos"), vocabulary.id("eos"), vocabulary.id("padding")];
  const named = new Set([bos, eos]);
  const merged = new Set(merges.flatMap((merge) => merge.split(" ")));
  // no prototype: a token may be called __proto__
  const vocab: Record<string, number> = Object.create(null) as Record<string, number>;
  const added: object[] = [];
  const seen = new Set<string>();
  vocabulary.tokens.forEach((token, id) => {
    const type = vocabulary.types[id];
    if (type === TOKEN_TYPE.unused || token === "") return;
    if (seen.has(token)) throw vocabulary.fail("tokens", "tokens that differ", token);
    seen.add(token);
    const special = type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown || named.has(id);
    const isAdded = special || type === TOKEN_TYPE.userDefined;
    if (isAdded)
      added.push({ id, content: token, single_word: false, lstrip: false, rstrip: false, normalized: false, special });
    if (!isAdded || merged.has(token)) vocab[token] = id;
  });

  const text = (id: number | undefined) => (id === undefined ? null : (vocabulary.tokens[id] ?? null));
  const around = {
    bos: vocabulary.flag("add_bos_token", cut.addsBegin) ? bos : undefined,
    eos: vocabulary.flag("add_eos_token", false) ? eos : undefined,
  };
  const ends = [eos, vocabulary.id("eot"), vocabulary.id("eom")].filter((id) => id !== undefined);
  vocabulary.tokens.forEach((token, id) => {
    if (TURN_ENDS.has(token) && vocabulary.types[id] === TOKEN_TYPE.control) ends.push(id);
  });
  return {
    "tokenizer.json": JSON.stringify({
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: cut.normalizer,
      pre_tokenizer: cut.pre_tokenizer,
      post_processor: surrounding(around.bos, around.eos, text),
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: cut.ignoreMerges,
        vocab,
        merges,
      },
    }),
    "tokenizer_config.json": JSON.stringify({
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: text(bos),
      eos_token: text(eos),
      pad_token: text(pad),
      add_bos_token: around.bos !== undefined,
      add_eos_token: around.eos !== undefined,
      clean_up_tokenization_spaces: false,
    }),
    "generation_config.json": JSON.stringify({
      ...(bos === undefined ? {} : { bos_token_id: bos }),
      eos_token_id: [...new Set(ends)],
      ...samplingOf(header.metadata),
    }),
  };
}

/** What is put around a text that stands for itself, as a post_processor. */
function surrounding(
  bos: number | undefined,
  eos: number | undefined,
  text: (id: number | undefined) => string | null,
): object | null {
  if (bos === undefined && eos === undefined) return null;
  const special = [bos, eos].filter((id) => id !== undefined).map((id) => ({ id, content: text(id) ?? "" }));
  const token = (id: number | undefined) => (id === undefined ? [] : [{ SpecialToken: { id: text(id), type_id: 0 } }]);
  return {
    type: "TemplateProcessing",
    single: [...token(bos), { Sequence: { id: "A", type_id: 0 } }, ...token(eos)],
    pair: [...token(bos), { Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }, ...token(eos)],
    special_tokens: Object.fromEntries(
      special.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]),
    ),
  };
}

/** The sampling that a file recommends, under generation_config.json's names. */
function samplingOf(metadata: ReadonlyMap<string, MetadataValue>): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const [name, field] of [
    ["temp", "temperature"],
    ["top_p", "top_p"],
    ["top_k", "top_k"],
    ["min_p", "min_p"],
  ] as const) {
    const value = metadata.get(`general.sampling.${name}`);
    if (typeof value === "number") settings[field] = Number(value.toPrecision(6));
  }
  return settings;
}
