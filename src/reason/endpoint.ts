/** Any server that speaks OpenAI's chat completions, asked for whole answers: a few at a time, again where it is worth it. */
import { ConfigError, SumbiError } from "../errors.ts";
import { briefJson, isRecord, parseJson } from "../json.ts";
import type { ChatMessage } from "../tokenizer/index.ts";

/** A server that could not be asked, or whose answers cannot be used; with its HTTP status where it gave one. */
export class EndpointError extends SumbiError {
  constructor(
    message: string,
    readonly status?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface EndpointOptions {
  /** Up to where `/chat/completions` follows: `http://localhost:8080/v1`. */
  url: string;
  /** As the server calls it; left out, the first that `/models` lists. */
  model?: string;
  /** Name of the environment variable that holds the key. Without one no key is sent. */
  keyVariable?: string;
  /** Requests under way at once. Default 4. */
  concurrency?: number;
  /** How often a request is tried that ends in 408, 429, 5xx or a lost connection. Default 6. */
  attempts?: number;
  /** Before the second try, if the server names no time; doubles with each. Default 1. */
  waitSeconds?: number;
  /** For one request. Default 10 minutes. */
  timeoutSeconds?: number;
  /** Told of every try that failed and is made again. */
  onRetry?(reason: string, waitSeconds: number): void;
}

export interface EndpointRequest {
  messages: readonly ChatMessage[];
  maxTokens: number;
  temperature: number;
  topP?: number;
  seed?: number;
}

export interface EndpointReply {
  /** All that was said; a thought that came apart stands as `<think>…</think>` before the answer. */
  text: string;
  finish: "stop" | "length";
  /** As the server counted them; undefined when it did not. */
  tokens?: number;
}

/** Larger answers are refused unread. */
const REPLY_BYTES_MAX = 32 * 2 ** 20;
const WAIT_SECONDS_MAX = 60;

/** Whether something is the address of a server and not a folder's or a file's name. */
export const isUrl = (text: string): boolean => /^https?:\/\//i.test(text);

export class Endpoint {
  readonly #base: string;
  readonly #options: Required<Omit<EndpointOptions, "model" | "keyVariable" | "onRetry">> &
    Pick<EndpointOptions, "onRetry">;
  readonly #headers: Record<string, string>;
  #model: Promise<string> | undefined;
  #free: number;
  #waiting: (() => void)[] = [];

  /** Throws ConfigError for what is no address, or a key that is not there. */
  constructor(options: EndpointOptions) {
    const {
      url,
      model,
      keyVariable,
      concurrency = 4,
      attempts = 6,
      waitSeconds = 1,
      timeoutSeconds = 600,
      onRetry,
    } = options;
    if (!isUrl(url) || !URL.canParse(url))
      throw new ConfigError(`endpoint: expected an address such as http://localhost:8080/v1, got ${briefJson(url)}`);
    const { username, password } = new URL(url);
    if (username !== "" || password !== "")
      throw new ConfigError("endpoint: expected an address without a name and password in it; give a key by --key-env");
    this.#base = url.replace(/\/(chat\/completions)?\/*$/, "");
    this.#options = { url, concurrency, attempts, waitSeconds, timeoutSeconds, onRetry };
    this.#free = concurrency;
    if (model !== undefined) this.#model = Promise.resolve(model);
    const key = keyVariable === undefined ? undefined : process.env[keyVariable]?.trim();
    if (keyVariable !== undefined && !key)
      throw new ConfigError(`endpoint: expected a key in the environment variable ${keyVariable}, found none`);
    this.#headers = { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) };
  }

  /** What the server calls the model that is asked. */
  async model(signal?: AbortSignal): Promise<string> {
    this.#model ??= this.#firstModel(signal).catch((error: unknown) => {
      this.#model = undefined;
      throw error;
    });
    return this.#model;
  }

  /** One answer. Waits for its turn among the others. Throws EndpointError, or the signal's reason. */
  async complete(request: EndpointRequest, signal?: AbortSignal): Promise<EndpointReply> {
    const { messages, maxTokens, temperature, topP = 1, seed } = request;
    const model = await this.model(signal);
    const body = {
      model,
      messages,
      max_tokens: maxTokens,
      temperature,
      top_p: topP,
      ...(seed === undefined ? {} : { seed }),
    };
    await this.#enter();
    try {
      return replyOf(
        await this.#ask("/chat/completions", { method: "POST", body: JSON.stringify(body) }, signal),
        this.#base,
      );
    } finally {
      this.#leave();
    }
  }

  async #firstModel(signal?: AbortSignal): Promise<string> {
    const found = await this.#ask("/models", { method: "GET" }, signal);
    const first = isRecord(found) && Array.isArray(found["data"]) ? (found["data"][0] as unknown) : undefined;
    const id = isRecord(first) ? first["id"] : undefined;
    if (typeof id !== "string")
      throw new EndpointError(`${this.#base}/models: expected a list of models, got ${briefJson(found)}; name one`);
    return id;
  }

  async #enter(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }

  /** The parsed answer to one request, tried as often as is worth it. */
  async #ask(path: string, init: RequestInit, signal?: AbortSignal): Promise<unknown> {
    const { attempts, waitSeconds, onRetry } = this.#options;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      const { value, fault, after } = await this.#once(path, init, signal);
      if (fault === undefined) return value;
      if (after === undefined || attempt === attempts) throw fault;
      const wait = Math.min(WAIT_SECONDS_MAX, Math.max(after, waitSeconds * 2 ** (attempt - 1)));
      onRetry?.(fault.message, wait);
      await pause(wait, signal);
    }
  }

  /** One try: a value, or a fault with the seconds after which another try is worth it, if any is. */
  async #once(
    path: string,
    init: RequestInit,
    signal?: AbortSignal,
  ): Promise<{ value?: unknown; fault?: EndpointError; after?: number }> {
    const where = `${this.#base}${path}`;
    const limit = AbortSignal.timeout(this.#options.timeoutSeconds * 1000);
    try {
      const response = await fetch(where, {
        ...init,
        headers: this.#headers,
        redirect: "error",
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
      });
      const text = await boundedText(response, where);
      const { status } = response;
      if (response.ok) return { value: parseJson(text) };
      const fault = new EndpointError(`${where}: answered ${status}: ${messageIn(text)}`, status);
      if (status !== 408 && status !== 429 && status < 500) return { fault };
      const after = Number(response.headers.get("retry-after"));
      return { fault, after: Number.isFinite(after) ? after : 0 };
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof EndpointError) return { fault: error };
      if (error instanceof SyntaxError)
        return {
          fault: new EndpointError(`${where}: expected JSON: ${error.message}`, undefined, { cause: error }),
          after: 0,
        };
      const why = limit.aborted ? `no answer in ${this.#options.timeoutSeconds} s` : reasonOf(error);
      return { fault: new EndpointError(`${where}: ${why}`, undefined, { cause: error }), after: 0 };
    }
  }
}

/** The text of an answer, or EndpointError where it is larger than any that makes sense. */
async function boundedText(response: Response, where: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += (part as Uint8Array).length;
    if (bytes > REPLY_BYTES_MAX) throw new EndpointError(`${where}: expected an answer of at most 32 MiB, got more`);
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts).toString("utf8");
}

function replyOf(value: unknown, base: string): EndpointReply {
  const choice = isRecord(value) && Array.isArray(value["choices"]) ? (value["choices"][0] as unknown) : undefined;
  const message = isRecord(choice) ? choice["message"] : undefined;
  if (!isRecord(value) || !isRecord(choice) || !isRecord(message))
    throw new EndpointError(`${base}: expected choices[0].message, got ${briefJson(value)}`);
  const content = typeof message["content"] === "string" ? message["content"] : "";
  // DeepSeek's name, and the later one of other servers
  const thought = [message["reasoning_content"], message["reasoning"]].find(
    (part) => typeof part === "string" && part !== "",
  );
  const tokens = isRecord(value["usage"]) ? value["usage"]["completion_tokens"] : undefined;
  return {
    text: typeof thought === "string" ? `<think>${thought}</think>${content}` : content,
    finish: choice["finish_reason"] === "length" ? "length" : "stop",
    ...(typeof tokens === "number" && Number.isFinite(tokens) ? { tokens } : {}),
  };
}

/** What an error's body says: OpenAI's `error.message`, or its beginning. */
function messageIn(text: string): string {
  try {
    const value = parseJson(text);
    const error = isRecord(value) ? value["error"] : undefined;
    if (isRecord(error) && typeof error["message"] === "string") return error["message"].slice(0, 500);
  } catch {
    // no JSON
  }
  return text.slice(0, 200);
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message !== "" ? `${message}: ${cause.message}` : message;
}

function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
