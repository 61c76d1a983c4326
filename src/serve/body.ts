/** A request's body, read as it comes: by length or in chunks, never more than is allowed, never deeper than can be parsed. */
import { ApiError } from "../errors.ts";
import { JsonBoundError, JsonScan } from "../json.ts";

/**
 * Most values and keys of one body: a thousand prompts of a thousand token ids, a bias for each token of the largest vocabularies. Whatever they
 * are, parsing them takes some 160 MB at most: a thread that runs out of memory ends the whole process, so that its limit could not be the bound.
 */
const MAX_VALUES = 2 ** 20;
const MAX_KEYS = 2 ** 18;
/** A body may come in so many pieces, and in more only when they hold so many bytes on average: each costs a call, however little is in it. */
const FREE_PIECES = 4096;
const LEAST_PIECE_BYTES = 16;
/** What a body's memory begins with; it doubles. */
const FIRST_BYTES = 2 ** 14;

const tooLarge = (most: string): ApiError =>
  new ApiError(
    413,
    `The request body is too large: it may hold at most ${most}`,
    "invalid_request_error",
    "request_too_large",
  );

/** A body that costs more to take in than it can hold: the rest is not even read. */
class FloodError extends ApiError {
  constructor() {
    super(
      400,
      `The request body comes in too many pieces: expected at least ${LEAST_PIECE_BYTES} bytes in each on average, got over ${FREE_PIECES} smaller ones. Send larger chunks`,
      "invalid_request_error",
      "too_many_chunks",
    );
  }
}

/** Bytes of bodies that are held at once, of all clients and of one. */
export class BodyMemory {
  #held = 0;
  readonly #of = new Map<string, number>();

  constructor(
    readonly bytes: number = 128 * 2 ** 20,
    readonly bytesPerClient: number = bytes / 2,
  ) {}

  /** Takes memory for a piece. Throws ApiError: 429 when the client has its share, 503 when there is none left. */
  take(client: string, bytes: number): void {
    const own = (this.#of.get(client) ?? 0) + bytes;
    if (own > this.bytesPerClient)
      throw new ApiError(
        429,
        "Your other requests' bodies take all the memory that one client may have; send them one after another",
        "rate_limit_error",
        "too_many_requests",
        null,
        1,
      );
    if (this.#held + bytes > this.bytes)
      throw new ApiError(
        503,
        "The server has no memory left for request bodies; try again",
        "server_error",
        "overloaded",
        null,
        1,
      );
    this.#held += bytes;
    this.#of.set(client, own);
  }

  give(client: string, bytes: number): void {
    this.#held -= bytes;
    const own = (this.#of.get(client) ?? 0) - bytes;
    if (own > 0) this.#of.set(client, own);
    else this.#of.delete(client);
  }
}

/** A compressed body on its way: pushed as it comes, given out as what it holds. */
export interface Inflater {
  push(piece: Uint8Array): void;
  /** Nothing more comes; resolves when all was given out. Never does after `fail`. */
  end(): Promise<void>;
  /** Nobody wants the rest. */
  drop(): void;
}

/** Opens a body of a `content-encoding`; undefined for one that is not known. What `take` throws ends it, and goes to `fail` as what is wrong with the body does. */
export interface Inflate {
  (coding: string, take: (piece: Uint8Array) => void, fail: (error: unknown) => void): Inflater | undefined;
  /** Those that are known. */
  readonly codings: readonly string[];
}

/** Where bodies of requests go. */
export interface BodyOptions {
  /** Of what came, and of what it held when it was compressed. */
  maxBytes: number;
  memory: BodyMemory;
  client: string;
  incoming?: Incoming;
  /** Absent: compressed bodies are refused. */
  inflate?: Inflate;
}

/**
 * The bytes of a JSON body. Throws ApiError: 413 as soon as it is too large, 400 when it is nested too deeply or breaks off, 415 when it is
 * compressed in a way that is not known, 400 and the end of the connection when it comes in crumbs. The memory is taken for it and given back when `use` has ended.
 */
export async function withBody<T>(
  request: Request,
  options: BodyOptions,
  use: (bytes: Uint8Array<ArrayBuffer>) => Promise<T> | T,
): Promise<T> {
  const { maxBytes, memory, client, incoming } = options;
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(`${maxBytes} bytes`);
  let taken = 0;
  const account = (bytes: number): void => {
    memory.take(client, bytes);
    taken += bytes;
  };
  let arrived = 0;
  let pieces = 0;
  let held = 0;
  // copied together as they come: kept apart, pieces of one byte would each take a hundred
  let bytes = new Uint8Array(FIRST_BYTES);
  const scan = new JsonScan({ values: MAX_VALUES, keys: MAX_KEYS });
  const keep = (piece: Uint8Array): void => {
    account(piece.length);
    held += piece.length;
    if (held > maxBytes) throw tooLarge(`${maxBytes} bytes`);
    scan.push(piece);
    if (held > bytes.length) {
      const larger = new Uint8Array(Math.max(2 * bytes.length, held));
      larger.set(bytes.subarray(0, held - piece.length));
      bytes = larger;
    }
    bytes.set(piece, held - piece.length);
  };
  const failure = new AbortController();
  const inflater = inflaterOf(request, options.inflate, keep, (error) => failure.abort(error));
  const add = (piece: Uint8Array): void => {
    arrived += piece.length;
    if (++pieces > FREE_PIECES && arrived < LEAST_PIECE_BYTES * pieces) throw new FloodError();
    if (!inflater) return keep(piece);
    if (arrived > maxBytes) throw tooLarge(`${maxBytes} bytes`);
    account(piece.length);
    inflater.push(piece);
  };
  try {
    await eachPiece(request, incoming, add, failure.signal);
    if (inflater) await unlessAborted(inflater.end(), failure.signal);
    return await use(bytes.subarray(0, held));
  } catch (error) {
    if (!(error instanceof JsonBoundError)) throw error;
    if (error.bound !== "depth") throw tooLarge(`${error.most} ${error.bound}`);
    throw new ApiError(
      400,
      `The body could not be read as JSON: it is ${error.message}`,
      "invalid_request_error",
      "invalid_json",
    );
  } finally {
    inflater?.drop();
    memory.give(client, taken);
  }
}

/** What takes a compressed body apart; undefined for one that is not. Throws ApiError 415 for a coding that is not known. */
function inflaterOf(
  request: Request,
  inflate: Inflate | undefined,
  take: (piece: Uint8Array) => void,
  fail: (error: unknown) => void,
): Inflater | undefined {
  const coding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (coding === "identity" || coding === "") return undefined;
  const inflater = inflate?.(coding, take, fail);
  if (inflater) return inflater;
  const known = ["identity", ...(inflate?.codings ?? [])].join(", ");
  throw new ApiError(
    415,
    `content-encoding: expected one of ${known}, got '${coding.slice(0, 100)}'`,
    "invalid_request_error",
    "unsupported_encoding",
  );
}

/** A promise, or the signal's reason as soon as it is aborted. */
function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject);
  });
}

/** Emitted on an `Incoming` of which nothing more is wanted, not even to be dropped: who holds the connection ends it with the answer. */
export const CUT_OFF = "cutOff";
/** Emitted on an `Incoming` whose client may be gone while its answer is under way: something written finds out. */
export const STILL_THERE = "stillThere";

/** Node's own stream of a body (`IncomingMessage`), as far as it is needed. */
export interface Incoming {
  readonly destroyed: boolean;
  readonly readableEnded: boolean;
  on(event: string, listener: (piece: Uint8Array) => void): unknown;
  off(event: string, listener: (piece: Uint8Array) => void): unknown;
  emit(event: typeof CUT_OFF): unknown;
  resume(): unknown;
}

const brokeOff = (): ApiError =>
  new ApiError(400, "The request's body broke off before it was whole", "invalid_request_error", "incomplete_body");

/**
 * The body piece by piece: in Node from the connection itself, since a web stream takes a twentieth of a millisecond for each, however small.
 * When `add` throws, the rest is still taken in, and dropped: the client reads its answer only when it has sent all, and its next request comes
 * behind. Who sends on for long is cut off by the server. So it is when `failure` is aborted, with its reason.
 */
async function eachPiece(
  request: Request,
  incoming: Incoming | undefined,
  add: (piece: Uint8Array) => void,
  failure: AbortSignal,
): Promise<void> {
  if (incoming) return eachPieceOf(incoming, add, failure);
  const reader = streamOf(request)?.getReader();
  if (!reader) return;
  const read = () =>
    reader.read().catch(() => {
      throw brokeOff();
    });
  try {
    for (let next = await read(); !next.done; next = await read()) {
      failure.throwIfAborted();
      add(next.value);
    }
  } catch (error) {
    if (error instanceof FloodError) void reader.cancel().catch(() => undefined);
    else void drop(reader);
    throw error;
  }
}

async function drop(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  for (;;) {
    const next = await reader.read().catch(() => undefined);
    if (next === undefined || next.done) return;
  }
}

function eachPieceOf(incoming: Incoming, add: (piece: Uint8Array) => void, failure: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (): void => settle(failure.reason);
    const settle = (error?: unknown): void => {
      failure.removeEventListener("abort", fail);
      for (const [event, listener] of listeners) incoming.off(event, listener);
      if (error === undefined) return resolve();
      if (error instanceof FloodError) incoming.emit(CUT_OFF);
      incoming.resume();
      reject(error as Error);
    };
    const take = (piece: Uint8Array): void => {
      try {
        add(piece);
      } catch (error) {
        settle(error);
      }
    };
    const listeners: [string, (piece: Uint8Array) => void][] = [
      ["data", take],
      ["end", () => settle()],
      ["error", () => settle(brokeOff())],
      ["close", () => settle(brokeOff())],
    ];
    if (incoming.readableEnded) return settle();
    if (incoming.destroyed) return settle(brokeOff());
    failure.addEventListener("abort", fail, { once: true });
    for (const [event, listener] of listeners) incoming.on(event, listener);
  });
}

function streamOf(request: Request): ReadableStream<Uint8Array> | null {
  try {
    return request.body;
  } catch (error) {
    throw new ApiError(
      400,
      `The request cannot be read: ${(error as Error).message.slice(0, 200)}`,
      "invalid_request_error",
      "invalid_url",
    );
  }
}
