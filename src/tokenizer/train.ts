/** A byte-level BPE vocabulary trained from texts, as tokenizer.json. */
import { breather } from "../abort.ts";
import { ConfigError, DataError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { BYTE_CHARS } from "./byteLevel.ts";
import { CHAT_TEMPLATE } from "./chatTemplate.ts";
import { mergeSteps } from "./merges.ts";
import { type DigitGroup, preTokenize, preTokenizerJson } from "./rules.ts";
import { type AddedToken, BOS, EOS, FIRST_TOKENS, LAST_TOKENS, PAD } from "./special.ts";
import { WordCounts } from "./wordCounts.ts";

export interface TrainTokenizerOptions {
  /** Tokens in all, the special ones included. A small text may end in fewer. */
  vocabSize: number;
  /** How many digits may share a token; 3 as in DeepSeek-V3, 1 for small models that shall do arithmetic. */
  digits?: DigitGroup;
  /** Pairs met less often are not merged. */
  minFrequency?: number;
  /** Bound of the table of distinct words: about 100 bytes each. */
  maxWords?: number;
  maxTokenBytes?: number;
  /** More tokens that are never cut, after DeepSeek's own. */
  addedTokens?: readonly AddedToken[];
  /** `model_max_length` of tokenizer_config.json. */
  maxLength?: number;
  /** Length of all texts, for progress; 0 or undefined when unknown. */
  totalChars?: number;
  onProgress?: OnProgress;
  /** Ends the work with the signal's reason. */
  signal?: AbortSignal;
}

export interface TrainedTokenizer {
  tokenizerJson: TokenizerJson;
  tokenizerConfig: Record<string, unknown>;
  vocabSize: number;
  /** Distinct words counted, words in all, and the most by which a word's count may be too low (0: exact). */
  words: { distinct: number; total: number; lost: number };
}

export interface TokenizerJson {
  version: string;
  truncation: null;
  padding: null;
  added_tokens: Record<string, unknown>[];
  normalizer: object | null;
  pre_tokenizer: object | null;
  post_processor: object | null;
  decoder: object | null;
  model: { type: string; vocab: Record<string, number>; merges: [string, string][]; [key: string]: unknown };
}

/**
 * Learns a byte-level BPE with DeepSeek-V3's rules from texts that pass by once; memory is bounded by `maxWords`
 * (see WordCounts) and the result depends on the texts and their order alone. Ids as in V3: three special tokens,
 * the 256 bytes, the merges, then the other special tokens. Throws ConfigError for options that cannot work and
 * DataError if there is no text.
 */
export async function trainTokenizer(
  texts: AsyncIterable<string> | Iterable<string>,
  options: TrainTokenizerOptions,
): Promise<TrainedTokenizer> {
  const { vocabSize, digits = 3, minFrequency = 2, maxWords = 2_000_000, maxTokenBytes = 128 } = options;
  const last = [...LAST_TOKENS, ...(options.addedTokens ?? [])];
  const reserved = FIRST_TOKENS.length + 256 + last.length;
  if (!Number.isInteger(vocabSize) || vocabSize < reserved)
    throw new ConfigError(
      `tokenizer: expected a vocabulary size of at least ${reserved} (256 bytes and ${reserved - 256} special tokens), got ${vocabSize}`,
    );
  if (vocabSize > 4_000_000)
    throw new ConfigError(`tokenizer: expected a vocabulary size up to 4000000, got ${vocabSize}`);
  const names = [...FIRST_TOKENS, ...last].map((token) => token.content);
  if (names.some((name, i) => name === "" || names.indexOf(name) !== i))
    throw new ConfigError("tokenizer: expected added tokens that are not empty and differ from each other");
  const cut = preTokenize(digits);
  const counted = new WordCounts(maxWords);
  const breathe = breather(options.signal);
  let chars = 0;
  for await (const text of texts) {
    for (const word of cut(text)) counted.add(word);
    chars += text.length;
    options.onProgress?.({ label: "counting words", done: chars, total: options.totalChars ?? 0, unit: "characters" });
    await breathe();
  }
  if (counted.counts.size === 0) throw new DataError("tokenizer: expected some text to learn from, got none");

  const firstByteId = FIRST_TOKENS.length;
  const alphabet = [...BYTE_CHARS].sort();
  const byteIds = new Int32Array(256);
  BYTE_CHARS.forEach((char, byte) => (byteIds[byte] = firstByteId + alphabet.indexOf(char)));
  const encoder = new TextEncoder();
  const sorted = [...counted.counts.entries()].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const mergeCount = vocabSize - reserved;
  const learning = mergeSteps(
    sorted.map(([word]) => Int32Array.from(encoder.encode(word), (byte) => byteIds[byte]!)),
    sorted.map(([, count]) => count),
    { firstId: firstByteId + 256, mergeCount, minFrequency, maxTokenBytes },
  );
  let step = learning.next();
  for (; !step.done; step = learning.next()) {
    options.onProgress?.({ label: "learning merges", done: step.value, total: mergeCount, unit: "merges" });
    await breathe();
  }
  const merges = step.value;

  const tokens = [...FIRST_TOKENS.map((token) => token.content), ...alphabet];
  const mergeStrings = merges.map(([left, right]): [string, string] => {
    tokens.push(tokens[left]! + tokens[right]!);
    return [tokens[left]!, tokens[right]!];
  });
  const vocab: Record<string, number> = Object.create(null);
  tokens.forEach((token, id) => (vocab[token] = id));
  const added = [
    ...FIRST_TOKENS.map((token, id) => addedToken(token, id)),
    ...last.map((token, i) => addedToken(token, tokens.length + i)),
  ];
  return {
    tokenizerJson: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: preTokenizerJson(digits),
      post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab,
        merges: mergeStrings,
      },
    },
    tokenizerConfig: {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: BOS,
      eos_token: EOS,
      pad_token: PAD,
      unk_token: null,
      clean_up_tokenization_spaces: false,
      model_max_length: options.maxLength ?? 131072,
      chat_template: CHAT_TEMPLATE,
    },
    vocabSize: tokens.length + last.length,
    words: { distinct: counted.counts.size, total: counted.total, lost: counted.lost },
  };
}

function addedToken(token: AddedToken, id: number): Record<string, unknown> {
  return {
    id,
    content: token.content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: token.special,
  };
}
