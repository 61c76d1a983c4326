/** A tokenizer as a GGUF's metadata. One that llama.cpp would cut texts otherwise with is refused. */
import { ConfigError } from "../../errors.ts";
import { isRecord } from "../../json.ts";
import { Tokenizer } from "../../tokenizer/index.ts";
import type { Entry } from "./metadata.ts";
import { preNameOf } from "./pretokenizers.ts";
import { TOKEN_TYPE } from "./types.ts";

export interface TokenizerParts {
  /** tokenizer.json and tokenizer_config.json, parsed. */
  json: unknown;
  config: unknown;
  chatTemplate?: string;
  /** More ids that end an answer: generation_config.json's. */
  ends?: readonly number[];
}

/** Tokens that llama.cpp's converter takes for control tokens though they are not called special. */
const LOOKS_SPECIAL = /^(?:<\|.*\|>|<｜.*｜>|<pad>)$/su;

/** `size` is the number of rows of the embedding: ids without a token are filled up. Throws ConfigError. */
export function tokenizerEntries(parts: TokenizerParts, size: number): Entry[] {
  const tokenizer = new Tokenizer(parts.json, parts.config, {
    chatTemplate: parts.chatTemplate,
    extraEos: parts.ends,
    lazy: true,
  });
  const json = parts.json as {
    model: { merges: (string | [string, string])[]; ignore_merges?: boolean };
    pre_tokenizer?: unknown;
    normalizer?: unknown;
  };
  const merges = json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")));
  const pre = preNameOf(json.pre_tokenizer, json.normalizer, json.model.ignore_merges === true, merges);
  if (pre === undefined)
    throw new ConfigError(
      "tokenizer.json: pre_tokenizer: expected rules that llama.cpp has a name for, got others: it would cut texts into other tokens",
    );
  if (tokenizer.vocabSize > size)
    throw new ConfigError(
      `tokenizer.json: expected at most ${size} tokens, as many as the model has, got ${tokenizer.vocabSize}`,
    );
  const added = new Set<string>();
  for (const token of addedOf(parts)) added.add(token);
  const tokens: string[] = [];
  const types: number[] = [];
  for (let id = 0; id < size; id++) {
    const token = id < tokenizer.vocabSize ? tokenizer.tokenOf(id) : "";
    tokens.push(token === "" ? `[PAD${id}]` : token);
    types.push(
      token === ""
        ? TOKEN_TYPE.unused
        : tokenizer.isSpecial(id) || (added.has(token) && LOOKS_SPECIAL.test(token))
          ? TOKEN_TYPE.control
          : added.has(token)
            ? TOKEN_TYPE.userDefined
            : TOKEN_TYPE.normal,
    );
  }
  const { before, after } = tokenizer.surrounding;
  const [eos, ...others] = tokenizer.eosIds;
  const addsBegin = before.length === 1 && before[0] === tokenizer.bosId;
  const addsEnd = after.length === 1 && after[0] === eos;
  if ((before.length > 0 && !addsBegin) || (after.length > 0 && !addsEnd))
    throw new ConfigError(
      "tokenizer.json: post_processor: expected the begin and end of text alone around a text, got others, which llama.cpp cannot add",
    );
  const ids = (name: string, id: number | undefined): Entry[] =>
    id === undefined ? [] : [{ key: `tokenizer.ggml.${name}_token_id`, type: "u32", value: id }];
  return [
    { key: "tokenizer.ggml.model", type: "string", value: "gpt2" },
    { key: "tokenizer.ggml.pre", type: "string", value: pre },
    { key: "tokenizer.ggml.tokens", type: "string", value: tokens },
    { key: "tokenizer.ggml.token_type", type: "i32", value: types },
    { key: "tokenizer.ggml.merges", type: "string", value: merges },
    ...ids("bos", tokenizer.bosId),
    ...ids("eos", eos),
    ...ids("eot", others[0]),
    ...ids("eom", others[1]),
    ...ids("padding", tokenizer.padId),
    { key: "tokenizer.ggml.add_bos_token", type: "bool", value: addsBegin },
    { key: "tokenizer.ggml.add_eos_token", type: "bool", value: addsEnd },
    { key: "tokenizer.ggml.add_space_prefix", type: "bool", value: false },
    ...(tokenizer.chatTemplate === undefined
      ? []
      : [{ key: "tokenizer.chat_template", type: "string", value: tokenizer.chatTemplate } as const]),
  ];
}

/** The texts of added tokens, of both files. */
function* addedOf({ json, config }: TokenizerParts): Generator<string> {
  const listed = isRecord(json) && Array.isArray(json.added_tokens) ? json.added_tokens : [];
  const more =
    isRecord(config) && isRecord(config.added_tokens_decoder) ? Object.values(config.added_tokens_decoder) : [];
  for (const token of [...listed, ...more])
    if (isRecord(token) && typeof token.content === "string") yield token.content;
}
