/** How text is cut before merging, by the names that llama.cpp has for it: `pre_tokenizer` and `normalizer` as the models' own tokenizer.json have them. */

export interface PreTokenizer {
  pre_tokenizer: object;
  normalizer: object | null;
  /** A whole word that is a token is taken without merging. */
  ignoreMerges: boolean;
  /** Whether a begin of text is put before a text where the file does not say. */
  addsBegin: boolean;
}

const BYTES = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
const WORDS = { ...BYTES, use_regex: true };
const DIGITS = { type: "Digits", individual_digits: true };
const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const modern = (digits: string) => `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}|${REST}`;

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const V3 = [
  "\\p{N}{1,3}",
  "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
];

/** The letters of scripts with upper and lower case, as DeepSeek-LLM's tokenizer.json lists them. */
const LETTERS =
  "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-" +
  "\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-" +
  "\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf" +
  "\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-" +
  "\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc" +
  "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115" +
  "\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e" +
  "\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-" +
  "\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a" +
  "\u{10400}-\u{1044f}\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}" +
  "\u{118a0}-\u{118df}\u{1e900}-\u{1e943}";
/** Chinese, and as the file has it much between U+0800 and U+4E00; Korean. */
const EAST_ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

const plain = (pre_tokenizer: object, more: Partial<PreTokenizer> = {}): PreTokenizer => ({
  pre_tokenizer,
  normalizer: null,
  ignoreMerges: false,
  addsBegin: false,
  ...more,
});

const LLAMA3 = plain(sequence(split(modern("\\p{N}{1,3}")), BYTES), { ignoreMerges: true, addsBegin: true });
const QWEN2 = plain(sequence(split(modern("\\p{N}")), BYTES), { normalizer: { type: "NFC" } });
const DIGITS_AND_WORDS = plain(sequence(DIGITS, WORDS));

/** By `tokenizer.ggml.pre`; the first name of a kind is the one that is written. */
const PRE_TOKENIZERS: Record<string, PreTokenizer> = {
  "llama-bpe": LLAMA3,
  llama3: LLAMA3,
  "llama-v3": LLAMA3,
  qwen2: QWEN2,
  "deepseek-r1-qwen": QWEN2,
  "deepseek-llm": plain(
    sequence(
      split("[\r\n]"),
      split(`\\s?[${LETTERS}]+`),
      split("\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"),
      split("\\s+$"),
      split(EAST_ASIAN),
      DIGITS,
      BYTES,
    ),
  ),
  "deepseek-coder": plain(
    sequence(split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split(EAST_ASIAN), DIGITS, BYTES),
  ),
  "deepseek-v3": plain(sequence(...V3.map(split), BYTES)),
  smollm: DIGITS_AND_WORDS,
  starcoder: DIGITS_AND_WORDS,
  refact: DIGITS_AND_WORDS,
  "command-r": DIGITS_AND_WORDS,
  "gpt-2": plain(WORDS),
  // no model's own: what llama.cpp does where nothing is said
  default: plain(
    sequence(split("[\\p{P}\\$\\+<=>\\^~\\|]+"), split(GPT2), split("\\p{N}+"), split("[0-9][0-9][0-9]"), BYTES),
  ),
};

export const PRE_NAMES = Object.keys(PRE_TOKENIZERS);

export const preTokenizerOf = (name: string): PreTokenizer | undefined =>
  Object.hasOwn(PRE_TOKENIZERS, name) ? PRE_TOKENIZERS[name] : undefined;

/**
 * llama.cpp's name of a tokenizer.json's way of cutting; undefined when it has none. V3's with digits one by one is V3's: `merges` join no
 * digits then, so that cutting three off together changes nothing.
 */
export function preNameOf(
  pre: unknown,
  normalizer: unknown,
  ignoreMerges: boolean,
  merges: readonly string[],
): string | undefined {
  const cut = cutOf(pre);
  const named = PRE_NAMES.find((name) => {
    const known = preTokenizerOf(name);
    return (
      known !== undefined &&
      cutOf(known.pre_tokenizer) === cut &&
      known.ignoreMerges === ignoreMerges &&
      normalizerOf(known.normalizer) === normalizerOf(normalizer)
    );
  });
  if (named !== undefined) return named;
  const single = sequence(split("\\p{N}"), ...V3.slice(1).map(split), BYTES);
  const joinsDigits = merges.some((merge) => /^\d+ \d+$/.test(merge));
  return cut === cutOf(single) && normalizerOf(normalizer) === "null" && !ignoreMerges && !joinsDigits
    ? "deepseek-v3"
    : undefined;
}

/** A normalizer as text; one that does nothing is null. */
function normalizerOf(normalizer: unknown): string {
  const { type, normalizers } = (normalizer ?? {}) as { type?: unknown; normalizers?: unknown };
  return JSON.stringify(
    type === "Sequence" && Array.isArray(normalizers) && normalizers.length === 0 ? null : (normalizer ?? null),
  );
}

/** The stages, without what does not change the cut. */
function cutOf(pre: unknown): string {
  const { type, pretokenizers } = (pre ?? {}) as { type?: unknown; pretokenizers?: unknown };
  const stages = type === "Sequence" && Array.isArray(pretokenizers) ? pretokenizers : [pre];
  return JSON.stringify(
    stages.map((stage) => {
      const { type, pattern, behavior, invert, use_regex, add_prefix_space, individual_digits } = (stage ??
        {}) as Record<string, unknown>;
      return [type, pattern, behavior, invert ?? false, use_regex, add_prefix_space, individual_digits];
    }),
  );
}
