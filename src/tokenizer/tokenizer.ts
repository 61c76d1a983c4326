import { Template } from "@huggingface/jinja";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { ConfigError, DataError } from "../errors.ts";
import { bytesOfToken } from "./byteLevel.ts";
import { checkTokenizerConfig, checkTokenizerJson, templateText, tokenText } from "./check.ts";
import { flat } from "./flat.ts";
import { DecodeStream } from "./stream.ts";

/** One message of a conversation. A thought may stand in the content as `<think>…</think>` or apart. */
export interface ChatMessage {
  role: string;
  content: string;
  reasoning_content?: string;
}

export interface ChatTemplateOptions {
  /** Ends with the mark after which the assistant speaks. */
  addGenerationPrompt?: boolean;
  /** true opens a thought, false forbids it, undefined leaves it to the model. */
  thinking?: boolean;
  /** Keeps the thoughts of earlier turns: for training text. */
  keepThoughts?: boolean;
  /** More variables for the template. */
  variables?: Record<string, unknown>;
}

/** Ids of pieces up to this length are remembered, for so many pieces of each stage; then the memory starts afresh. */
const CACHED_CHARS = 48;
const CACHED_PIECES = 200_000;

/**
 * A byte-level BPE tokenizer from the parsed tokenizer.json and tokenizer_config.json, in Node and in a browser.
 * Cutting and merging are @huggingface/tokenizers'; pieces already met are looked up (docs/decisions/030).
 * Throws ConfigError when the files are broken or of a kind that it cannot do.
 */
export class Tokenizer {
  /** One more than the highest id. */
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly padId: number | undefined;
  /** The ids that end an answer: `eos_token`, and `extraEos` if given. */
  readonly eosIds: number[];
  readonly chatTemplate: string | undefined;
  private readonly library: Library;
  /** What the library does to a text before merging, stage by stage; each stage treats each piece by itself. */
  private readonly stages: Stage[];
  /** For each stage: a piece before it -> the ids that come of it in the end. */
  private readonly known: Map<string, number[]>[];
  private readonly tokens: (string | undefined)[];
  private readonly bytes: (Uint8Array | undefined)[];
  private readonly ids = new Map<string, number>();
  private readonly addedIds: Map<string, number>;
  private readonly specialIds: Set<number>;
  private readonly splitter: RegExp | undefined;
  private readonly config: Record<string, unknown>;
  private template: Template | undefined;

  constructor(tokenizerJson: unknown, tokenizerConfig: unknown = {}, options: { chatTemplate?: string; extraEos?: number[] } = {}) {
    const json = checkTokenizerJson(tokenizerJson);
    this.config = checkTokenizerConfig(tokenizerConfig);
    try {
      this.library = new Library(json, this.config);
    } catch (error) {
      throw new ConfigError(`tokenizer.json: the tokenizer cannot be built: ${(error as Error).message}`, { cause: error });
    }
    const library = this.library;
    this.stages = stagesOf(library);
    this.known = this.stages.map(() => new Map());
    this.vocabSize = json.size;
    this.tokens = new Array(json.size).fill(undefined);
    this.bytes = new Array(json.size).fill(undefined);
    for (const [token, id] of Object.entries(json.model.vocab)) {
      this.tokens[id] = token;
      this.bytes[id] = bytesOfToken(token);
      this.ids.set(token, id);
    }
    const encoder = new TextEncoder();
    this.addedIds = new Map();
    this.specialIds = new Set();
    for (const token of json.added_tokens) {
      this.tokens[token.id] = token.content;
      this.bytes[token.id] = encoder.encode(token.content);
      this.ids.set(token.content, token.id);
      this.addedIds.set(token.content, token.id);
      if (token.special) this.specialIds.add(token.id);
    }
    const simple = json.added_tokens.every((token) => !token.lstrip && !token.rstrip && !token.single_word && (!token.normalized || isIdentity(json.normalizer)));
    const contents = [...this.addedIds.keys()].sort((a, b) => b.length - a.length);
    const escaped = contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
    this.splitter = simple && contents.length > 0 ? new RegExp(`(${escaped.join("|")})`, "u") : undefined;
    this.bosId = this.idOfConfig("bos_token");
    this.padId = this.idOfConfig("pad_token");
    const eos = this.idOfConfig("eos_token");
    this.eosIds = [...new Set([...(eos === undefined ? [] : [eos]), ...(options.extraEos ?? [])])];
    this.chatTemplate = options.chatTemplate ?? templateText(this.config.chat_template);
  }

  /**
   * Text -> ids, no token added before or after. `special` (default true): the text of an added token, such as
   * `<｜User｜>`, becomes that token; false: it is text like any other, for text from strangers.
   */
  encode(text: string, options: { special?: boolean } = {}): number[] {
    const ids: number[] = [];
    if (options.special === false || this.addedIds.size === 0) this.encodePlain(text, ids);
    else if (this.splitter === undefined) return this.library.encode(text, { add_special_tokens: false }).ids;
    else
      for (const part of text.split(this.splitter)) {
        const added = this.addedIds.get(part);
        if (added !== undefined) ids.push(added);
        else if (part !== "") this.encodePlain(part, ids);
      }
    return ids;
  }

  private encodePlain(text: string, out: number[]): void {
    const normal = this.library.normalizer === null ? text : this.library.normalizer(text);
    if (normal !== "") this.encodeFrom(0, normal, out);
  }

  private encodeFrom(stage: number, piece: string, out: number[]): void {
    const short = piece.length <= CACHED_CHARS;
    let ids = short ? this.known[stage].get(piece) : undefined;
    if (ids === undefined) {
      ids = short ? [] : out;
      const next = this.stages[stage]([piece]);
      if (stage + 1 < this.stages.length) for (const part of next) this.encodeFrom(stage + 1, part, ids);
      else
        for (const token of this.library.model!.encode(next)) {
          const id = this.ids.get(token);
          if (id !== undefined) ids.push(id);
        }
      if (!short) return;
      const known = this.known[stage];
      if (known.size >= CACHED_PIECES) known.clear();
      known.set(flat(piece), ids);
    }
    for (const id of ids) out.push(id);
  }

  /** Ids -> text; bytes that are no UTF-8 become U+FFFD. Throws DataError for an id outside the vocabulary. */
  decode(ids: Iterable<number>, options: { skipSpecial?: boolean } = {}): string {
    const stream = this.stream(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.flush();
  }

  /** Decodes ids one by one without ever giving out half a character. */
  stream(options: { skipSpecial?: boolean } = {}): DecodeStream {
    return new DecodeStream((id) => (options.skipSpecial && this.specialIds.has(id) ? undefined : this.bytesOf(id)));
  }

  /** The vocabulary's own string of an id (bytes in the byte alphabet), "" for an id that no token has. */
  tokenOf(id: number): string {
    this.checkId(id);
    return this.tokens[id] ?? "";
  }

  /** The bytes that an id stands for; of an added token its text. */
  bytesOf(id: number): Uint8Array {
    this.checkId(id);
    return this.bytes[id] ?? new TextEncoder().encode(this.tokens[id] ?? "");
  }

  /** The id of a vocabulary string or added token. */
  idOf(token: string): number | undefined {
    return this.ids.get(token);
  }

  isSpecial(id: number): boolean {
    return this.specialIds.has(id);
  }

  /** A conversation as one text by the folder's chat template (Jinja). Throws ConfigError without a usable template, DataError if it refuses the messages. */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    if (this.template === undefined) {
      if (this.chatTemplate === undefined) throw new ConfigError("tokenizer_config.json: expected a chat_template, found none");
      try {
        this.template = new Template(this.chatTemplate);
      } catch (error) {
        throw new ConfigError(`tokenizer_config.json: the chat_template cannot be parsed: ${(error as Error).message}`, { cause: error });
      }
    }
    const variables: Record<string, unknown> = {
      bos_token: tokenText(this.config.bos_token) ?? "",
      eos_token: tokenText(this.config.eos_token) ?? "",
      pad_token: tokenText(this.config.pad_token) ?? "",
      ...options.variables,
      messages,
      add_generation_prompt: options.addGenerationPrompt ?? false,
    };
    if (options.thinking !== undefined) variables.thinking = options.thinking;
    if (options.keepThoughts !== undefined) variables.keep_thoughts = options.keepThoughts;
    try {
      return this.template.render(variables);
    } catch (error) {
      throw new DataError(`chat template: these messages cannot be rendered: ${(error as Error).message}`, { cause: error });
    }
  }

  private idOfConfig(name: string): number | undefined {
    const text = tokenText(this.config[name]);
    return text === undefined ? undefined : this.ids.get(text);
  }

  private checkId(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize)
      throw new DataError(`tokenizer: expected an id from 0 to ${this.vocabSize - 1}, got ${id}`);
  }
}

/** No normalizer, or DeepSeek's empty sequence of them. */
function isIdentity(normalizer: object | null): boolean {
  const { type, normalizers } = (normalizer ?? {}) as { type?: unknown; normalizers?: unknown };
  return normalizer === null || (type === "Sequence" && Array.isArray(normalizers) && normalizers.length === 0);
}

type Stage = (pieces: string[]) => string[];

/** The library's pre-tokenizer in its stages, as far as it shows them. */
function stagesOf(library: Library): Stage[] {
  const whole = library.pre_tokenizer as unknown as (Stage & { tokenizers?: (Stage | null)[] }) | null;
  if (whole === null) return [(pieces) => pieces];
  const stages = whole.tokenizers?.filter((stage) => stage !== null) ?? [];
  return stages.length > 0 ? stages : [whole];
}
