/** tokenizer.json and tokenizer_config.json checked: the parts that are read here. */
import { ConfigError } from "../errors.ts";
import { isRecord } from "../json.ts";

/** The parts of tokenizer.json that are read here, checked; `size` is one more than the highest id. */
export interface CheckedTokenizer {
  size: number;
  added_tokens: CheckedAddedToken[];
  normalizer: object | null;
  pre_tokenizer: object | null;
  post_processor: object | null;
  decoder: object | null;
  model: { type: string; vocab: Record<string, number>; merges: unknown[] };
}

export interface CheckedAddedToken {
  id: number;
  content: string;
  special: boolean;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
}

/** No published vocabulary comes near; a higher id is a broken or hostile file, and would cost memory. */
const MAX_ID = 16_000_000;
/** Of an added token. */
const MAX_TOKEN_CHARS = 1024;
/** Published vocabularies have up to 262,144 tokens, and about as many merges. */
const MAX_VOCABULARY = 4_000_000;

const fail = (where: string, expected: string, got: unknown): never => {
  let shown =
    typeof got === "object" && got !== null ? (Array.isArray(got) ? "a list" : "an object") : JSON.stringify(got);
  if (shown !== undefined && shown.length > 60) shown = `${shown.slice(0, 60)}…`;
  throw new ConfigError(`tokenizer.json: ${where}: expected ${expected}, got ${shown ?? "nothing"}`);
};

const checkId = (where: string, id: unknown): number =>
  Number.isInteger(id) && (id as number) >= 0 && (id as number) <= MAX_ID
    ? (id as number)
    : fail(where, `an id from 0 to ${MAX_ID}`, id);

const part = (json: Record<string, unknown>, name: string): object | null => {
  const value = json[name] ?? null;
  return value === null || isRecord(value) ? value : fail(name, "an object or null", value);
};

/** Checks what came from a file before anything is built from it. Throws ConfigError naming the first fault. */
export function checkTokenizerJson(value: unknown): CheckedTokenizer {
  if (!isRecord(value)) return fail("the file", "an object", value);
  const model = value.model;
  if (!isRecord(model)) return fail("model", "an object", model);
  if (model.type !== undefined && model.type !== "BPE") fail("model.type", `"BPE"`, model.type);
  if (!isRecord(model.vocab)) return fail("model.vocab", "an object", model.vocab);
  const vocab = model.vocab as Record<string, number>;
  let size = 0;
  const seen = new Set<number>();
  const { length } = Object.keys(vocab);
  if (length > MAX_VOCABULARY) fail("model.vocab", `at most ${MAX_VOCABULARY} tokens`, length);
  for (const [token, id] of Object.entries(vocab)) {
    checkId(`model.vocab[${JSON.stringify(token)}]`, id);
    if (seen.has(id)) fail(`model.vocab[${JSON.stringify(token)}]`, "an id of its own", id);
    seen.add(id);
    if (id >= size) size = id + 1;
  }
  if (size === 0) fail("model.vocab", "at least one token", vocab);
  if (!Array.isArray(model.merges)) return fail("model.merges", "a list", model.merges);
  if (model.merges.length > 2 * MAX_VOCABULARY)
    fail("model.merges", `at most ${2 * MAX_VOCABULARY}`, model.merges.length);
  const pairs = Array.isArray(model.merges[0]);
  model.merges.forEach((merge: unknown, i) => {
    const two = pairs ? merge : typeof merge === "string" ? merge.split(" ") : undefined;
    if (!Array.isArray(two) || two.length !== 2 || !two.every((token) => typeof token === "string"))
      fail(`model.merges[${i}]`, "two tokens", merge);
    const [left, right] = two as [string, string];
    if (!Object.hasOwn(vocab, left) || !Object.hasOwn(vocab, right) || !Object.hasOwn(vocab, left + right))
      fail(`model.merges[${i}]`, "tokens of the vocabulary", `${left} ${right}`);
  });
  const listed = value.added_tokens ?? [];
  if (!Array.isArray(listed)) return fail("added_tokens", "a list", listed);
  if (listed.length > MAX_VOCABULARY) fail("added_tokens", `at most ${MAX_VOCABULARY}`, listed.length);
  const added = listed.map((token: unknown, i): CheckedAddedToken => {
    const where = `added_tokens[${i}]`;
    if (!isRecord(token)) return fail(where, "an object", token);
    const added = addedToken(token, 0, where);
    const id = checkId(`${where}.id`, token.id);
    if (id >= size) size = id + 1;
    return { ...added, id };
  });
  const decoder = part(value, "decoder");
  const { type, decoders } = (decoder ?? {}) as { type?: unknown; decoders?: unknown };
  const kinds =
    type === "Sequence" && Array.isArray(decoders)
      ? decoders.map((one) => (isRecord(one) ? one.type : undefined))
      : [type];
  if (!kinds.includes("ByteLevel"))
    fail("decoder", "ByteLevel (other kinds of tokenizers are not supported)", type ?? null);
  if (size > 4 * (seen.size + added.length) + 65536) fail("model.vocab", "ids without wide gaps", size - 1);
  return {
    ...value,
    size,
    added_tokens: added,
    normalizer: part(value, "normalizer"),
    pre_tokenizer: part(value, "pre_tokenizer"),
    post_processor: part(value, "post_processor"),
    decoder,
    model: { ...model, type: "BPE", vocab, merges: model.merges },
  };
}

const NAMED_TOKENS = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/**
 * The added tokens of both files, as transformers joins them: tokenizer_config.json may add some of its own
 * (`added_tokens_decoder`), and those that it names (`bos_token`, `additional_special_tokens`, …) are special.
 * A token that the vocabulary has too has its id there. Names of tokens that neither file has an id for are left out. `size` is one more than the highest id.
 */
export function joinAddedTokens(
  json: CheckedTokenizer,
  config: Record<string, unknown>,
): { tokens: CheckedAddedToken[]; size: number } {
  const { vocab } = json.model;
  const tokens = new Map(
    json.added_tokens.map((token) => [
      token.content,
      { ...token, id: (Object.hasOwn(vocab, token.content) ? vocab[token.content] : undefined) ?? token.id },
    ]),
  );
  let { size } = json;
  const listed = isRecord(config.added_tokens_decoder) ? Object.entries(config.added_tokens_decoder) : [];
  for (const [key, value] of listed.sort((a, b) => Number(a[0]) - Number(b[0]))) {
    const content = tokenText(value);
    if (content === undefined || content === "" || tokens.has(content)) continue;
    const id = Object.hasOwn(vocab, content)
      ? vocab[content]
      : Number(key) === size && size < MAX_ID
        ? size++
        : undefined;
    if (id !== undefined)
      tokens.set(
        content,
        addedToken({ ...(value as object), content }, id, "tokenizer_config.json: added_tokens_decoder"),
      );
  }
  const { additional_special_tokens: additional, extra_special_tokens: extra } = config;
  const named = [
    ...NAMED_TOKENS.map((name) => config[name]),
    ...[additional, extra].flatMap((list) => (Array.isArray(list) ? list : isRecord(list) ? Object.values(list) : [])),
  ];
  for (const content of named.map(tokenText)) {
    if (content === undefined || content === "") continue;
    const known = tokens.get(content);
    const id = known?.id ?? (Object.hasOwn(vocab, content) ? vocab[content] : undefined);
    if (known !== undefined) tokens.set(content, { ...known, special: true });
    else if (id !== undefined)
      tokens.set(content, addedToken({ content, special: true, normalized: false }, id, "tokenizer_config.json"));
  }
  return { tokens: [...tokens.values()], size };
}

function addedToken(token: Record<string, unknown>, id: number, where: string): CheckedAddedToken {
  const { content } = token;
  if (typeof content !== "string" || content === "") return fail(`${where}.content`, "a text", content);
  if (content.length > MAX_TOKEN_CHARS) fail(`${where}.content`, `at most ${MAX_TOKEN_CHARS} characters`, content);
  if (/\p{Surrogate}/u.test(content)) fail(`${where}.content`, "whole characters", content);
  const special = token.special === true;
  return {
    id,
    content,
    special,
    single_word: token.single_word === true,
    lstrip: token.lstrip === true,
    rstrip: token.rstrip === true,
    normalized: typeof token.normalized === "boolean" ? token.normalized : !special,
  };
}

/** tokenizer_config.json, or an empty object where there is none. */
export function checkTokenizerConfig(value: unknown): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value))
    throw new ConfigError(
      `tokenizer_config.json: expected an object, got ${Array.isArray(value) ? "a list" : typeof value}`,
    );
  return value;
}

/** A token in tokenizer_config.json is a text, or an object with its `content`. */
export function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isRecord(value) && typeof value.content === "string" ? value.content : undefined;
}

/** `chat_template` is a text, or a list of named ones of which "default" is meant. */
export function templateText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  return templateText(value.find((entry) => isRecord(entry) && entry.name === "default")?.template);
}
