import { ConfigError, DataError } from "../errors.ts";
import { type AddedToken, isControl, Matcher } from "./added.ts";
import { bytesPerToken } from "./bound.ts";
import { bytesOfToken } from "./byteLevel.ts";
import { type CheckedTokenizer, checkTokenizerConfig, checkTokenizerJson, joinAddedTokens, templateText, tokenText } from "./check.ts";
import { flat } from "./flat.ts";
import { BPE } from "./library.ts";
import { Marks, Shield } from "./shield.ts";
import { THINK } from "./special.ts";
import { normalizerOf, type Stage, stagesOf } from "./stages.ts";
import { DecodeStream } from "./stream.ts";
import { type Surrounding, surroundingOf } from "./surround.ts";
import { ChatTemplate } from "./template.ts";

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

/** A conversation as a model is given it. */
export interface EncodedChat {
  ids: number[];
  /** What the template wrote. */
  text: string;
  /** It ends in a `<think>` of the template's: the model goes on in a thought. */
  opensThought: boolean;
}

/** Ids of pieces up to this length are remembered, for so many pieces of each stage; then the memory starts afresh. */
const CACHED_CHARS = 48;
const CACHED_PIECES = 200_000;

/**
 * A byte-level BPE tokenizer from the parsed tokenizer.json and tokenizer_config.json, in Node and in a browser.
 * Merging is @huggingface/tokenizers'; pieces already met are looked up (docs/decisions/030). Text from people never becomes
 * a control token (docs/decisions/033). Throws ConfigError when the files are broken or of a kind that it cannot do.
 */
export class Tokenizer {
  /** One more than the highest id. */
  readonly vocabSize: number;
  /** Most UTF-8 bytes of a text that one token can stand for; Infinity where that has no bound. */
  readonly bytesPerToken: number;
  readonly bosId: number | undefined;
  readonly padId: number | undefined;
  /** The ids that end an answer: `eos_token`, and `extraEos` if given. */
  readonly eosIds: number[];
  readonly chatTemplate: string | undefined;
  /** The ids put around a text that stands for itself: the `post_processor`'s, and the begin of text that `add_bos_token` asks for. */
  readonly surrounding: Surrounding;
  private readonly model: BPE;
  private readonly normalize: ((text: string) => string) | undefined;
  /** What is done to a text before merging, stage by stage; each stage treats each piece by itself. */
  private readonly stages: Stage[];
  /** For each stage: a piece before it -> the ids that come of it in the end. */
  private readonly known: Map<string, number[]>[];
  private readonly tokens: (string | undefined)[];
  private readonly bytes: (Uint8Array | undefined)[];
  private readonly addedIds = new Map<string, number>();
  private readonly specialIds = new Set<number>();
  private readonly controlIds = new Set<number>();
  private readonly finders: { all: Finder; words: Finder; control: Matcher };
  private readonly config: Record<string, unknown>;
  private template: ChatTemplate | undefined;
  private marks: Marks | undefined;

  constructor(tokenizerJson: unknown, tokenizerConfig: unknown = {}, options: { chatTemplate?: string; extraEos?: number[] } = {}) {
    const json = checkTokenizerJson(tokenizerJson);
    this.config = checkTokenizerConfig(tokenizerConfig);
    const added = joinAddedTokens(json, this.config);
    this.normalize = normalizerOf(json.normalizer);
    this.stages = stagesOf(json.pre_tokenizer);
    this.known = this.stages.map(() => new Map());
    this.model = modelOf(json);
    this.vocabSize = added.size;
    this.bytesPerToken = bytesPerToken(json, added.tokens, this.normalize);
    this.tokens = new Array(added.size).fill(undefined);
    this.bytes = new Array(added.size).fill(undefined);
    for (const [token, id] of Object.entries(json.model.vocab)) {
      this.tokens[id] = token;
      this.bytes[id] = bytesOfToken(token);
    }
    const encoder = new TextEncoder();
    for (const token of added.tokens) {
      this.tokens[token.id] = token.content;
      this.bytes[token.id] = encoder.encode(token.content);
      this.addedIds.set(token.content, token.id);
      if (token.special) this.specialIds.add(token.id);
      if (isControl(token)) this.controlIds.add(token.id);
    }
    const control = added.tokens.filter((token) => this.controlIds.has(token.id));
    this.finders = {
      all: new Finder(added.tokens, this.normalize),
      words: new Finder(added.tokens.filter((token) => !this.controlIds.has(token.id)), this.normalize),
      control: new Matcher(control.map((token) => [token.content, token])),
    };
    this.bosId = this.idOfConfig("bos_token");
    this.padId = this.idOfConfig("pad_token");
    const eos = this.idOfConfig("eos_token");
    this.eosIds = [...new Set([...(eos === undefined ? [] : [eos]), ...(options.extraEos ?? [])])];
    this.chatTemplate = options.chatTemplate ?? templateText(this.config.chat_template);
    const { before, after } = surroundingOf(json.post_processor, added.size);
    const begin = this.config.add_bos_token === true && this.bosId !== undefined && before[0] !== this.bosId ? [this.bosId] : [];
    this.surrounding = { before: [...begin, ...before], after };
  }

  /**
   * Text -> ids, none added before or after. `special` (default true): the text of a control token, such as `<｜User｜>`, becomes
   * that token; false: it is text like any other, for text from strangers.
   */
  encode(text: string, options: { special?: boolean } = {}): number[] {
    const ids: number[] = [];
    this.encodeInto(ids, text, options.special === false ? this.finders.words : this.finders.all);
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
      const next = this.stages[stage]?.(piece) ?? [];
      for (const part of next)
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

  /**
   * A conversation by the folder's chat template (Jinja), encoded. Only the template's own control tokens become such: what people
   * wrote is encoded as text, of an assistant's message all but the tags of one thought at its beginning. Throws as `applyChatTemplate`.
   */
  encodeChat(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): EncodedChat {
    const template = this.parsedTemplate();
    this.marks ??= new Marks([...this.controlIds].map((id) => this.tokens[id] ?? ""));
    const { messages: given, ...rest } = this.variablesOf(messages, options);
    const shield = new Shield(this.marks, [template.source, ...textsOf(given), ...textsOf(rest)]);
    const { variables = {} } = options;
    const covered = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, Object.hasOwn(variables, name) ? coverDeep(value, shield) : value]));
    const rendered = template.render({ ...covered, messages: messages.map((message) => coverMessage(message, shield)) }, shield);
    const ids: number[] = [];
    for (const part of this.finders.control.cut(rendered))
      if (typeof part === "string") this.encodeInto(ids, shield.uncover(part), this.finders.words);
      else ids.push(part.id);
    return { ids, text: shield.uncover(rendered), opensThought: rendered.trimEnd().endsWith(THINK) };
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
    return this.addedIds.get(token) ?? this.model.tokens_to_ids.get(token);
  }

  isSpecial(id: number): boolean {
    return this.specialIds.has(id);
  }

  /** Whether an id steers the model: every special one, and marks such as `<think>`. */
  isControl(id: number): boolean {
    return this.controlIds.has(id);
  }

  /** A conversation as one text by the folder's chat template; `encodeChat` makes ids of one. Throws ConfigError without a usable template, DataError if it refuses the messages. */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    return this.parsedTemplate().render(this.variablesOf(messages, options));
  }

  private parsedTemplate(): ChatTemplate {
    if (this.chatTemplate === undefined) throw new ConfigError("tokenizer_config.json: expected a chat_template, found none");
    return (this.template ??= new ChatTemplate(this.chatTemplate));
  }

  private variablesOf(messages: readonly ChatMessage[], options: ChatTemplateOptions): Record<string, unknown> {
    return {
      bos_token: tokenText(this.config.bos_token) ?? "",
      eos_token: tokenText(this.config.eos_token) ?? "",
      pad_token: tokenText(this.config.pad_token) ?? "",
      ...options.variables,
      messages,
      add_generation_prompt: options.addGenerationPrompt ?? false,
      ...(options.thinking === undefined ? {} : { thinking: options.thinking }),
      ...(options.keepThoughts === undefined ? {} : { keep_thoughts: options.keepThoughts }),
    };
  }

  private idOfConfig(name: string): number | undefined {
    const text = tokenText(this.config[name]);
    return text === undefined ? undefined : this.idOf(text);
  }

  private checkId(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize)
      throw new DataError(`tokenizer: expected an id from 0 to ${this.vocabSize - 1}, got ${id}`);
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
    const others = tokens.filter((token) => token.normalized).map((token) => [normalize?.(token.content) ?? token.content, token] as const);
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

function modelOf(json: CheckedTokenizer): BPE {
  try {
    return new BPE(json.model);
  } catch (error) {
    throw new ConfigError(`tokenizer.json: the tokenizer cannot be built: ${(error as Error).message}`, { cause: error });
  }
}

/** All texts in a value, keys among them. */
function* textsOf(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null)
    for (const [key, part] of Object.entries(value)) {
      yield key;
      yield* textsOf(part);
    }
}

function coverMessage(message: ChatMessage, shield: Shield): Record<string, unknown> {
  const { role, content, ...rest } = message;
  const thoughtApart = typeof message.reasoning_content === "string" && message.reasoning_content !== "";
  const answer = role === "assistant" && typeof content === "string" && !thoughtApart;
  return { role: shield.cover(role, { inside: true }), content: answer ? shield.coverAnswer(content) : coverDeep(content, shield), ...(coverDeep(rest, shield) as object) };
}

/** Fields whose values templates compare with words of their own, or make marks of. */
const NAMES = new Set(["role", "type"]);

/** A value with all texts in it covered; of keys, by which templates ask, only whole marks. */
function coverDeep(value: unknown, shield: Shield): unknown {
  if (typeof value === "string") return shield.cover(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((part) => coverDeep(part, shield));
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [shield.cover(key, { inside: true }), typeof part === "string" && NAMES.has(key) ? shield.cover(part, { inside: true }) : coverDeep(part, shield)]));
}
