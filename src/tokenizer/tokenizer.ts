/** The tokenizer of a model: text and chats to ids, ids to text. */
import { ConfigError, DataError } from "../errors.ts";
import { isControl } from "./added.ts";
import { bytesPerToken } from "./bound.ts";
import { bytesOfToken } from "./byteLevel.ts";
import { checkTokenizerConfig, checkTokenizerJson, joinAddedTokens, templateText, tokenText } from "./check.ts";
import { Encoding } from "./encoding.ts";
import { Marks, Shield } from "./shield.ts";
import { END_THINK, THINK } from "./special.ts";
import { DecodeStream } from "./stream.ts";
import { type Surrounding, surroundingOf } from "./surround.ts";
import { ChatTemplate } from "./template.ts";
import { type WrittenPart, WrittenPlaces } from "./written.ts";

/** One message of a conversation. A thought may stand in the content as `<think>…</think>` or apart. */
export interface ChatMessage {
  role: string;
  content: string;
  reasoning_content?: string;
  /** Of a tool's result: the call, and the tool's name. */
  tool_call_id?: string;
  name?: string;
  /** As templates expect them. */
  tool_calls?: readonly unknown[];
  /** `content` in parts, where control tokens in it are meant, or its ids are known. `encodeChat` takes these. */
  written?: readonly WrittenPart[];
}

/** The beginning of an answer: of its thought, or of what follows a thought, empty or not. */
export interface Prefill {
  thought?: string;
  /** Absent: the thought goes on. */
  answer?: string;
}

export interface ChatTemplateOptions {
  /** Ends with the mark after which the assistant speaks. */
  addGenerationPrompt?: boolean;
  /** true opens a thought, false forbids it, undefined leaves it to the model. */
  thinking?: boolean;
  /** Keeps the thoughts of earlier turns: for training text. */
  keepThoughts?: boolean;
  /** What the assistant has said already of the answer that comes; with `addGenerationPrompt`. */
  prefill?: Prefill;
  /** `encodeChat` leaves a conversation that must be longer than this unencoded. */
  mostTokens?: number;
  /** More variables for the template. */
  variables?: Record<string, unknown>;
}

/** A conversation as a model is given it. */
export interface EncodedChat {
  ids: number[];
  /** Only of a conversation left unencoded, which has no ids: the fewest it can have. */
  least?: number;
  /** What the template wrote. */
  text: string;
  /** It ends in a `<think>` of the template's, or in a thought that was begun: the model goes on in a thought. */
  opensThought: boolean;
}

export interface TokenizerOptions {
  /** In place of tokenizer_config.json's. */
  chatTemplate?: string;
  /** More ids that end an answer. */
  extraEos?: readonly number[];
  /** Prepares encoding when it is first asked for: for a tokenizer that only decodes. */
  lazy?: boolean;
}

/**
 * A byte-level BPE tokenizer from the parsed tokenizer.json and tokenizer_config.json, in Node and in a browser. Text from people
 * never becomes a control token (docs/decisions/033). Throws ConfigError when the files are broken or of a kind that it cannot do.
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
  private readonly tokens: (string | undefined)[];
  /** Of tokens in the byte alphabet; those of others are their text's. */
  private readonly bytes: (Uint8Array | undefined)[];
  private readonly vocab: Readonly<Record<string, number>>;
  private readonly addedIds = new Map<string, number>();
  private readonly specialIds = new Set<number>();
  private readonly controlIds = new Set<number>();
  private readonly config: Record<string, unknown>;
  private readonly makeEncoding: () => Encoding;
  private madeEncoding: Encoding | undefined;
  private template: ChatTemplate | undefined;
  private marks: Marks | undefined;

  constructor(tokenizerJson: unknown, tokenizerConfig: unknown = {}, options: TokenizerOptions = {}) {
    const json = checkTokenizerJson(tokenizerJson);
    this.config = checkTokenizerConfig(tokenizerConfig);
    const added = joinAddedTokens(json, this.config);
    this.vocab = json.model.vocab;
    this.vocabSize = added.size;
    this.bytesPerToken = bytesPerToken(json, added.tokens);
    this.tokens = new Array(added.size).fill(undefined);
    this.bytes = new Array(added.size).fill(undefined);
    for (const [token, id] of Object.entries(this.vocab)) {
      this.tokens[id] = token;
      this.bytes[id] = bytesOfToken(token);
    }
    for (const token of added.tokens) {
      this.tokens[token.id] = token.content;
      this.bytes[token.id] = undefined;
      this.addedIds.set(token.content, token.id);
      if (token.special) this.specialIds.add(token.id);
      if (isControl(token)) this.controlIds.add(token.id);
    }
    this.bosId = this.idOfConfig("bos_token");
    this.padId = this.idOfConfig("pad_token");
    const eos = this.idOfConfig("eos_token");
    this.eosIds = [...new Set([...(eos === undefined ? [] : [eos]), ...(options.extraEos ?? [])])];
    this.chatTemplate = options.chatTemplate ?? templateText(this.config.chat_template);
    const { before, after } = surroundingOf(json.post_processor, added.size);
    const begin =
      this.config.add_bos_token === true && this.bosId !== undefined && before[0] !== this.bosId ? [this.bosId] : [];
    this.surrounding = { before: [...begin, ...before], after };
    this.makeEncoding = () => new Encoding(json, added.tokens, this.controlIds);
    if (!options.lazy) this.madeEncoding = this.makeEncoding();
  }

  private get encoding(): Encoding {
    return (this.madeEncoding ??= this.makeEncoding());
  }

  /**
   * Text -> ids, none added before or after. `special` (default true): the text of a control token, such as `<｜User｜>`, becomes
   * that token; false: it is text like any other, for text from strangers.
   */
  encode(text: string, options: { special?: boolean } = {}): number[] {
    return this.encoding.encode(text, options.special !== false);
  }

  /**
   * A conversation by the folder's chat template (Jinja), encoded. Only the template's own control tokens become such: what people
   * wrote is encoded as text, of an assistant's message all but the tags of one thought at its beginning. Throws as `applyChatTemplate`.
   */
  encodeChat(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): EncodedChat {
    const template = this.parsedTemplate();
    this.marks ??= new Marks([...this.controlIds].map((id) => this.tokens[id] ?? ""));
    const { messages: given, ...rest } = this.variablesOf(messages, options);
    const { variables = {}, prefill = {} } = options;
    const shield = new Shield(this.marks, [template.source, ...textsOf(given), ...textsOf(rest), ...textsOf(prefill)]);
    const covered = Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [
        name,
        Object.hasOwn(variables, name) ? coverDeep(value, shield) : value,
      ]),
    );
    const places = new WrittenPlaces(shield);
    const prompt = template.render(
      { ...covered, messages: messages.map((message) => coverMessage(message, shield, places)) },
      shield,
    );
    const opens = prompt.trimEnd().endsWith(THINK);
    const rendered = prompt + begun(prefill, opens ? prompt : undefined, shield);
    const goesOn = prefill.answer === undefined && (opens || prefill.thought !== undefined);
    const parts = places.cut(rendered);
    const text = parts.map((part) => (typeof part === "string" ? shield.uncover(part) : this.decode(part))).join("");
    const chat = { text, opensThought: goesOn };
    const least = Math.ceil(text.length / this.bytesPerToken);
    if (least > (options.mostTokens ?? Infinity)) return { ...chat, ids: [], least };
    const encode = (part: string): number[] => this.encoding.encodeBetween(part, (piece) => shield.uncover(piece));
    return { ...chat, ids: parts.flatMap((part) => (typeof part === "string" ? encode(part) : part)) };
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
    return this.addedIds.get(token) ?? (Object.hasOwn(this.vocab, token) ? this.vocab[token] : undefined);
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
    if (this.chatTemplate === undefined)
      throw new ConfigError("tokenizer_config.json: expected a chat_template, found none");
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
      // as DeepSeek's templates call it, and as Qwen's
      ...(options.thinking === undefined ? {} : { thinking: options.thinking, enable_thinking: options.thinking }),
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

/** All texts in a value, keys among them. */
function* textsOf(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null)
    for (const [key, part] of Object.entries(value)) {
      yield key;
      yield* textsOf(part);
    }
}

function coverMessage(message: ChatMessage, shield: Shield, places: WrittenPlaces): Record<string, unknown> {
  const { role, content, written, ...rest } = message;
  const thoughtApart = typeof message.reasoning_content === "string" && message.reasoning_content !== "";
  const answer = role === "assistant" && typeof content === "string" && !thoughtApart;
  return {
    role: shield.cover(role, { inside: true }),
    content: written ? places.standInFor(written) : answer ? shield.coverAnswer(content) : coverDeep(content, shield),
    ...(coverDeep(rest, shield) as object),
  };
}

/** The beginning of an answer as it stands after the prompt, which may have opened a thought. */
function begun({ thought, answer }: Prefill, opened: string | undefined, shield: Shield): string {
  const close = opened?.endsWith("\n") ? `${END_THINK}\n\n` : END_THINK;
  const begin = thought === undefined ? "" : (opened === undefined ? THINK : "") + shield.cover(thought);
  if (answer === undefined) return begin;
  return begin + (opened !== undefined || thought !== undefined ? close : "") + shield.cover(answer);
}

/** Fields whose values templates compare with words of their own, or make marks of. */
const NAMES = new Set(["role", "type"]);

/** A value with all texts in it covered; of keys, by which templates ask, only whole marks. */
function coverDeep(value: unknown, shield: Shield): unknown {
  if (typeof value === "string") return shield.cover(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((part) => coverDeep(part, shield));
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      shield.cover(key, { inside: true }),
      typeof part === "string" && NAMES.has(key) ? shield.cover(part, { inside: true }) : coverDeep(part, shield),
    ]),
  );
}
