/** An encoder in a process of its own: started, fed in turns, ended when it takes too long, started again. */
import { fork } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { TokenizerFiles } from "../data/index.ts";
import { ConfigError, DataError } from "../errors.ts";
import { EngineClosedError, Gate } from "../infer/index.ts";
import type { ChatMessage, ChatTemplateOptions } from "../tokenizer/index.ts";
import type { Encoded, EncodedPrompt, Encoder } from "./encoder.ts";
import type { Job, Reply, SentIds, Setup } from "./encoderChild.ts";

export interface EncoderOptions {
  /** More ids than this of one text are counted and not given back. */
  keepIds: number;
  /** The longest that one request may be rendered and encoded. */
  millis?: number;
  /** Heap of the process; default by the size of the tokenizer's files. */
  memoryMiB?: number;
}

const MILLIS = 10_000;
const SETUP_MILLIS = 90_000;
/** How much later than the process itself its parent ends it. */
const GRACE_MILLIS = 2_000;
/** Heap for the texts of a request, and for each byte of the tokenizer's files. */
const REQUEST_MIB = 512;
const HEAP_BYTES_A_BYTE = 24;

/** Starts a process that encodes with these files, and waits until it can. Throws ConfigError when no tokenizer can be made of them. */
export async function startEncoder(files: TokenizerFiles, options: EncoderOptions): Promise<Encoder> {
  const encoder = new ProcessEncoder(files, options);
  try {
    await encoder.ready();
    return encoder;
  } catch (error) {
    await encoder.close();
    throw error instanceof DataError ? new ConfigError(error.message, { cause: error }) : error;
  }
}

/**
 * An encoder in a process of its own, one task at a time. What takes too long or too much memory ends that process; its caller gets a
 * DataError that says so, and a fresh process takes its place.
 */
class ProcessEncoder implements Encoder {
  readonly #setup: Setup;
  readonly #memoryMiB: number;
  readonly #turn = new Gate(1);
  #process: Promise<EncodingProcess> | undefined;
  #closed = false;

  constructor(files: TokenizerFiles, options: EncoderOptions) {
    const chars = Object.values(files.texts).reduce((sum, text) => sum + text.length, 0);
    this.#setup = { files, millis: options.millis ?? MILLIS, keepIds: options.keepIds };
    this.#memoryMiB = options.memoryMiB ?? Math.ceil(REQUEST_MIB + (chars * HEAP_BYTES_A_BYTE) / 2 ** 20);
  }

  async chat(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    signal?: AbortSignal,
    client?: string,
  ): Promise<EncodedPrompt> {
    const [sent] = await this.#ask({ messages, options }, signal, client);
    if (sent === undefined) throw new Error("encoder: an answer without ids");
    return { ...received(sent), opensThought: sent.opensThought === true };
  }

  async texts(
    texts: readonly string[],
    signal?: AbortSignal,
    client?: string,
    options: { special?: boolean } = {},
  ): Promise<Encoded[]> {
    return (await this.#ask({ texts, ...options }, signal, client)).map(received);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#process?.then(
      (running) => running.end(),
      () => undefined,
    );
  }

  /** The process, once its tokenizer is built; a fresh one when the last one ended. */
  ready(): Promise<EncodingProcess> {
    if (this.#closed) return Promise.reject(new EngineClosedError());
    return (this.#process ??= this.#launch());
  }

  async #launch(): Promise<EncodingProcess> {
    const running = new EncodingProcess(this.#memoryMiB);
    let built = false;
    void running.gone.then(() => {
      this.#process = undefined;
      // whoever comes next need not wait for it
      if (built && !this.#closed) this.ready().catch(() => undefined);
    });
    try {
      await running.ask(this.#setup, SETUP_MILLIS);
    } catch (error) {
      await running.end();
      throw error;
    }
    built = true;
    return running;
  }

  async #ask(job: Job, signal: AbortSignal | undefined, client: string | undefined): Promise<SentIds[]> {
    const leave = await this.#turn.enter(signal, client);
    if (signal?.aborted) {
      leave();
      throw signal.reason;
    }
    const asked = this.ready()
      .then((running) => running.ask(job, this.#setup.millis))
      .finally(leave);
    if (signal === undefined) return asked;
    // who leaves need not wait; the turn is over when the process is done
    return new Promise((resolve, reject) => {
      const left = (): void => reject(signal.reason);
      signal.addEventListener("abort", left, { once: true });
      asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", left));
    });
  }
}

const received = ({ ids, count }: SentIds): Encoded => ({ ids: Array.from(ids), count });

/** One process and what it is asked, one thing at a time. It keeps this program alive only while it is asked. */
class EncodingProcess {
  /** When it has ended. */
  readonly gone: Promise<void>;
  readonly #child: ReturnType<typeof fork>;
  #settle: ((result: SentIds[] | Error) => void) | undefined;
  /** Why we ended it. */
  #reason: Error | undefined;

  constructor(memoryMiB: number) {
    // compiled, or TypeScript when this file runs as such (tests, tsx)
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const loader =
      extension === "ts" ? ["--import", pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href] : [];
    this.#child = fork(fileURLToPath(new URL(`./encoderChild.${extension}`, import.meta.url)), {
      execArgv: [`--max-old-space-size=${memoryMiB}`, ...loader],
      env: { ...process.env, NODE_OPTIONS: undefined, SUMBI_API_KEY: undefined },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child.on("message", (reply: Reply) => {
      if ("done" in reply) return this.#settle?.(reply.done);
      const error = reply.expected ? new DataError(reply.error) : new Error(reply.error);
      if (reply.ending) this.#reason = error;
      else this.#settle?.(error);
    });
    this.gone = new Promise((resolve) => {
      const ended = (error: Error): void => {
        // known to have ended before anyone asks again
        resolve();
        this.#settle?.(this.#reason ?? error);
      };
      this.#child.on("exit", (code, signal) =>
        ended(
          new DataError(
            `tokenizer: ended, since it took more than ${memoryMiB} MiB of memory (${signal ?? `exit ${code}`})`,
          ),
        ),
      );
      this.#child.on("error", (error) =>
        ended(new Error(`encoder: the process failed: ${error.message}`, { cause: error })),
      );
    });
    this.#hold(false);
  }

  ask(message: Setup | Job, millis: number): Promise<SentIds[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => void this.end(new DataError(`tokenizer: ended, since it ran longer than ${millis / 1000} s`)),
        millis + GRACE_MILLIS,
      );
      this.#settle = (result) => {
        clearTimeout(timer);
        this.#settle = undefined;
        this.#hold(false);
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      this.#hold(true);
      // what cannot be sent is answered by the end of the process
      if (this.#child.connected) this.#child.send(message, () => undefined);
    });
  }

  async end(reason: Error = new EngineClosedError()): Promise<void> {
    this.#reason ??= reason;
    this.#hold(true);
    this.#child.kill("SIGKILL");
    await this.gone;
  }

  #hold(held: boolean): void {
    for (const part of [this.#child, this.#child.channel]) held ? part?.ref() : part?.unref();
  }
}
