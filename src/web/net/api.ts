/** The server's API as the pages use it: JSON, streamed answers, faults in a reader's terms. */
import { words } from "../words/index.ts";
import { keyRefused, withKey } from "./key.ts";
import { readSse } from "./sse.ts";

/** What went wrong, in terms a reader of the page can act on. */
export type FaultKind = "no-model" | "unreachable" | "interrupted" | "context" | "busy" | "key" | "refused" | "server";

/** A request that failed. `message` is the server's own where it gave one. */
export class Fault extends Error {
  constructor(
    readonly kind: FaultKind,
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
  /** The thought of an answer to be gone on with. */
  reasoning_content?: string;
}

/** The part of OpenAI's chat request that the page sends; a knob left out takes the server's default. */
export interface ChatRequest {
  /** Left out where the page does not know it yet: the server then takes the one it has. */
  model?: string;
  messages: ChatMessage[];
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  seed?: number;
  thinking?: { type: "enabled" | "disabled" };
  /** Tokens after which a thought is brought to its end. */
  thinking_budget?: number;
  /** The server leaves out the oldest turns that do not fit, and says so. */
  truncation?: "auto";
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  completion_tokens_details?: { reasoning_tokens?: number };
}

/** How long the server took, by its own clock, under the names of llama-server; times in ms. */
export interface Timings {
  prompt_n?: number;
  prompt_ms?: number;
  predicted_n: number;
  predicted_ms: number;
  /** Of the tokens after the first; null of one alone. */
  predicted_per_second?: number | null;
}

/** One piece of a streamed answer. */
export interface ChatPiece {
  content?: string;
  reasoning?: string;
  finish?: string;
  usage?: Usage;
  timings?: Timings;
  /** Messages, the oldest, that the server left out because the context is full. */
  dropped?: number;
}

/** What the page shows about the model: /v1/models plus whatever /api/model adds. */
export interface ModelCard {
  id: string;
  created?: number;
  /** The ids of all models of the server, this one's first. */
  models: string[];
  details: Record<string, unknown>;
}

/** GET and parse JSON; throws Fault. */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, { signal });
  try {
    return (await response.json()) as T;
  } catch {
    throw new Fault("server", words.net.notJson(path), response.status);
  }
}

/** The model behind the server. `/api/model` may be missing: other servers of the OpenAI API have none. */
export async function fetchModel(signal?: AbortSignal): Promise<ModelCard> {
  const list = await getJson<{ data?: { id: string; created?: number }[] }>("/v1/models", signal).catch((error) => {
    // A training run serves its pages without a model.
    if (error instanceof Fault && error.status === 404) return { data: [] };
    throw error;
  });
  const first = list.data?.[0];
  if (!first) throw new Fault("no-model", words.net.noModel);
  const details = await getJson<Record<string, unknown>>("/api/model", signal).catch(() => ({}));
  return { id: first.id, created: first.created, models: (list.data ?? []).map(({ id }) => id), details };
}

/**
 * Streams a chat answer. Ends normally only after the server said `[DONE]` or gave a finish reason; a stream that breaks
 * off throws Fault "interrupted". An aborted signal throws its AbortError.
 */
export async function* streamChat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatPiece> {
  const response = await send("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  if (!response.body) throw new Fault("server", words.net.empty, response.status);
  let finished = false;
  try {
    for await (const event of readSse(response.body)) {
      if (event.data === "[DONE]") return;
      const piece = parsePiece(event.data);
      if (piece.finish) finished = true;
      yield piece;
    }
  } catch (error) {
    if (error instanceof Fault || signal.aborted) throw error;
    throw new Fault("interrupted", words.net.broke);
  }
  if (!finished) throw new Fault("interrupted", words.net.stopped);
}

/** How many tokens a conversation has and how many there can be; null where the server cannot tell. Throws Fault, "context" where it does not fit. */
export async function countTokens(
  messages: readonly ChatMessage[],
  model: string | undefined,
  signal: AbortSignal,
): Promise<{ count: number; limit: number } | null> {
  const response = await send("/tokenize", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...(model ? { model } : {}), messages }),
    signal,
  });
  const { count, max_model_len } = (await response.json()) as { count?: unknown; max_model_len?: unknown };
  return typeof count === "number" && typeof max_model_len === "number" ? { count, limit: max_model_len } : null;
}

/** One `data:` payload of a chat stream; throws Fault where it holds an error or is not JSON. */
export function parsePiece(data: string): ChatPiece {
  let chunk: {
    error?: unknown;
    choices?: {
      delta?: { content?: unknown; reasoning_content?: unknown; reasoning?: unknown };
      finish_reason?: unknown;
    }[];
    usage?: Usage | null;
    timings?: Partial<Timings> | null;
    dropped_messages?: unknown;
  };
  try {
    chunk = JSON.parse(data);
  } catch {
    throw new Fault("server", words.net.oddPiece);
  }
  if (chunk === null || typeof chunk !== "object") throw new Fault("server", words.net.oddPiece);
  if (chunk.error) throw toFault(500, chunk);
  const choice = chunk.choices?.[0];
  const piece: ChatPiece = {};
  const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning;
  if (typeof choice?.delta?.content === "string") piece.content = choice.delta.content;
  if (typeof reasoning === "string") piece.reasoning = reasoning;
  if (typeof choice?.finish_reason === "string") piece.finish = choice.finish_reason;
  if (chunk.usage) piece.usage = chunk.usage;
  const { predicted_n, predicted_ms } = chunk.timings ?? {};
  if (typeof predicted_n === "number" && typeof predicted_ms === "number")
    piece.timings = { ...chunk.timings, predicted_n, predicted_ms };
  if (typeof chunk.dropped_messages === "number") piece.dropped = chunk.dropped_messages;
  return piece;
}

/** Turns an error body in OpenAI's shape (or any other) into a Fault. */
export function toFault(status: number, body: unknown): Fault {
  const error = (body as { error?: unknown } | null)?.error;
  const detail = (typeof error === "object" && error !== null ? error : {}) as { message?: unknown; code?: unknown };
  const message =
    typeof detail.message === "string" ? detail.message : typeof error === "string" ? error : words.net.status(status);
  if (detail.code === "context_length_exceeded" || /context (length|window)|maximum context/i.test(message)) {
    return new Fault("context", message, status);
  }
  if (status === 401) return new Fault("key", message, status);
  if (status === 429 || status === 503) return new Fault("busy", message, status);
  return new Fault(status >= 400 && status < 500 ? "refused" : "server", message, status);
}

/** Sends a request with the key, if there is one; throws Fault for every answer that is not well. */
export async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  const headers = withKey(init.headers);
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Fault("unreachable", words.net.unreachable);
  }
  if (response.ok) return response;
  if (response.status === 401) keyRefused(headers);
  const text = await response.text().catch(() => "");
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's HTML page, say: the status tells enough.
  }
  throw toFault(response.status, body);
}
