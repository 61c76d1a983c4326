/** `sumbi chat`: a conversation with a model in the terminal. */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Command } from "commander";
import pc from "picocolors";
import { resolveModel } from "../checkpoint/index.ts";
import { ApiError, SumbiError, UsageError } from "../errors.ts";
import { type ChatRequest, loadModel, type Piece, parseChat, planChat, type ServedModel } from "../serve/index.ts";
import { addDraftsOption, type DraftsFlags, draftsInWords } from "./draftsOption.ts";
import { addPrefixCacheOptions, type PrefixCacheFlags, prefixCacheOptions } from "./prefixCacheOption.ts";
import { harmless, progressLine } from "./print.ts";
import { addWeightsOptions, type WeightsFlags, weightsInWords, weightsOptions } from "./weightsOption.ts";

export interface ChatOptions extends WeightsFlags, PrefixCacheFlags, DraftsFlags {
  system?: string;
  temperature?: number;
  topP?: number;
  maxTokens?: number;
  seed?: number;
  /** true or false tells the model to think or not; absent leaves it to the model. */
  think?: boolean;
  json?: boolean;
}

/** `sumbi chat MODEL`: a conversation in the terminal, or one question per line of stdin. */
export function register(program: Command): void {
  const number = (name: string) => (text: string) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value))
      throw new UsageError(`chat: --${name}: expected a number, got ${text}`);
    return value;
  };
  const command = program
    .command("chat")
    .description("talk to a model in the terminal; with piped stdin, one question per line")
    .argument("<model>", "a Hugging Face folder, a GGUF file, or the name of a bundled model");
  addDraftsOption(addPrefixCacheOptions(addWeightsOptions(command)))
    .option("--system <text>", "what the model is told beforehand")
    .option("--temperature <number>", "0: always the likeliest token", number("temperature"))
    .option("--top-p <share>", "draw only from the likeliest tokens that hold this share", number("top-p"))
    .option("--max-tokens <number>", "longest answer", number("max-tokens"))
    .option("--seed <number>", "same seed, same answers", number("seed"))
    .option("--think", "make it think before every answer")
    .option("--no-think", "make it answer at once")
    .option("--json", "one JSON object per answer")
    .action(async (model: string, options: ChatOptions) => {
      const line = progressLine();
      const served = await loadModel(resolveModel(model), {
        ...weightsOptions(options),
        ...prefixCacheOptions(options),
        drafts: options.drafts,
        onProgress: line,
      });
      line.end();
      try {
        const tty = process.stdin.isTTY === true && process.stdout.isTTY === true && !options.json;
        process.exitCode = await converse(served, options, {
          input: process.stdin,
          output: process.stdout,
          errors: process.stderr,
          tty,
        });
      } finally {
        await served.engine.close();
      }
    });
}

export interface Terminal {
  input: Readable;
  output: Writable;
  errors: Writable;
  /** A person types and reads: prompt, colours, thoughts. */
  tty: boolean;
}

type Message = ChatRequest["messages"][number];

/** Reads questions and writes answers until the input ends, `/quit` or Ctrl-C; returns the exit status. */
export async function converse(served: ServedModel, options: ChatOptions, terminal: Terminal): Promise<number> {
  const { input, output, errors, tty } = terminal;
  const talk = new Conversation(served, options);
  talk.check();
  if (tty && served.info.weights) output.write(`${pc.dim(weightsInWords(served.info.weights))}\n`);
  if (tty) for (const note of served.info.notes ?? []) output.write(`${pc.dim(note)}\n`);
  if (tty)
    output.write(
      `${pc.bold(served.info.id)}  ${pc.dim("/reset forgets the conversation, /quit ends, Ctrl-C stops an answer")}\n`,
    );
  const lines = createInterface({
    input,
    output: tty ? output : undefined,
    terminal: tty,
    prompt: pc.green("> "),
    crlfDelay: Infinity,
  });
  let answering: AbortController | undefined;
  const interrupt = (): void => {
    if (answering) answering.abort();
    else lines.close();
  };
  lines.on("SIGINT", interrupt);
  process.on("SIGINT", interrupt);
  let gone = false;
  const hangUp = (): void => {
    gone = true;
    interrupt();
  };
  // for good: the news that nobody reads (EPIPE) may come after the last write
  output.on("error", hangUp);
  let status = 0;
  try {
    if (tty) lines.prompt();
    for await (const line of lines) {
      const question = line.trim();
      if (question === "/quit" || question === "/exit") break;
      if (question === "/reset") {
        talk.reset();
        if (tty) output.write(pc.dim("forgotten\n"));
      } else if (question !== "") {
        answering = new AbortController();
        try {
          await answer(talk, question, options, terminal, answering.signal);
        } catch (error) {
          if (gone) break;
          if (!(error instanceof SumbiError)) throw error;
          status = 1;
          errors.write(`${pc.red("error:")} ${error.message}\n`);
        }
        answering = undefined;
      }
      if (gone) break;
      if (tty) lines.prompt();
    }
  } finally {
    lines.close();
    process.off("SIGINT", interrupt);
  }
  const fared = draftsInWords(served.engine.drafts);
  if (tty) output.write(fared ? `\n${pc.dim(fared)}\n` : "\n");
  return status;
}

async function answer(
  talk: Conversation,
  question: string,
  options: ChatOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const { output, errors, tty } = terminal;
  const started = performance.now();
  const write = (text: string): void => void output.write(harmless(text));
  let thinking = false;
  let last = "";
  const result = await talk.ask(question, signal, {
    forgot: (n) => errors.write(pc.dim(`(the context is full: the first ${n} messages are forgotten)\n`)),
    piece(reasoning, content) {
      if (options.json) return;
      if (tty && reasoning !== "") {
        thinking = true;
        output.write(pc.dim(harmless(reasoning)));
      }
      if (content === "") return;
      if (thinking) write("\n\n");
      thinking = false;
      write(content);
      last = content;
    },
  });
  if (options.json) {
    const seconds = Math.round(performance.now() - started) / 1000;
    const { full: _, ...figures } = result;
    output.write(`${JSON.stringify({ question, ...figures, seconds, weights: talk.weights, drafts: talk.drafts })}\n`);
  } else {
    if (result.finish === "stopped" && tty) output.write(pc.dim(" [stopped]"));
    if (result.finish === "length" && tty) output.write(pc.dim(" [cut off at the token limit]"));
    if (!last.endsWith("\n") || tty) write("\n");
  }
  if (result.full) errors.write(pc.dim("(the context is full: the answer was cut off)\n"));
  if (result.answer.trim() === "")
    errors.write(pc.dim("(no answer came: the question is left out of the conversation)\n"));
}

interface Listener {
  piece(reasoning: string, content: string): void;
  forgot(messages: number): void;
}

interface Answered {
  answer: string;
  reasoning: string;
  finish: NonNullable<Piece["finish"]> | "stopped";
  /** Cut off because the context was full. */
  full: boolean;
  tokens: number;
}

/** The messages so far. */
class Conversation {
  #messages: Message[] = [];

  constructor(
    private readonly served: ServedModel,
    private readonly options: ChatOptions,
  ) {}

  /** The form of the weights that answer. */
  get weights(): string | undefined {
    return this.served.info.weights?.form;
  }

  /** How guesses fared so far; undefined where none are made. */
  get drafts() {
    return this.served.engine.drafts;
  }

  reset(): void {
    this.#messages = [];
  }

  /** Throws UsageError when an option is out of range. */
  check(): void {
    try {
      this.#request("");
    } catch (error) {
      if (error instanceof ApiError) throw new UsageError(`chat: ${error.message}`);
      throw error;
    }
  }

  /**
   * Asks; the oldest turns are forgotten where they leave no room for an answer. The question and the answer, also one that was stopped,
   * become part of the conversation; a question without an answer does not.
   */
  async ask(question: string, signal: AbortSignal, listener: Listener): Promise<Answered> {
    const result: Answered = { answer: "", reasoning: "", finish: "stopped", full: false, tokens: 0 };
    let promptTokens = 0;
    try {
      const plan = await planChat(this.#request(question), this.served, signal);
      if (plan.dropped > 0) {
        this.#messages.splice(0, plan.dropped);
        listener.forgot(plan.dropped);
      }
      promptTokens = plan.prompt.length;
      for await (const piece of plan.answer(0, signal).pieces) {
        result.answer += piece.content;
        result.reasoning += piece.reasoning;
        result.tokens += piece.tokens.length;
        if (piece.finish) result.finish = piece.finish;
        listener.piece(piece.reasoning, piece.content);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    result.full = result.finish === "length" && promptTokens + result.tokens >= this.served.engine.limits.contextTokens;
    if (result.answer.trim() !== "")
      this.#messages.push({ role: "user", content: question }, { role: "assistant", content: result.answer });
    return result;
  }

  #request(question: string): ChatRequest {
    const { system, temperature, topP, maxTokens, seed, think } = this.options;
    return parseChat({
      truncation: "auto",
      messages: [
        ...(system ? [{ role: "system", content: system }] : []),
        ...this.#messages,
        { role: "user", content: question },
      ],
      temperature,
      top_p: topP,
      max_completion_tokens: maxTokens,
      seed,
      ...(think === undefined ? {} : { chat_template_kwargs: { thinking: think } }),
    });
  }
}
