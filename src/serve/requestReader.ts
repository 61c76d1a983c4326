/** Reads large bodies in a thread of its own, so that nobody else waits while somebody's megabytes are parsed and checked. */
import { Worker } from "node:worker_threads";
import { ApiError } from "../errors.ts";
import { threadUrl } from "../thread.ts";
import type { RequestBounds } from "./bounds.ts";
import { parseRequest, type Requests } from "./parse.ts";
import type { ParseJob, ParseResult } from "./parseWorker.ts";

/** Bodies up to this size take a millisecond or two: reading them here is quicker than handing them over. */
const INLINE_BYTES = 64 * 2 ** 10;

export interface RequestReaderOptions {
  /** Longest time for one body; default 30 s. */
  deadlineMs?: number;
}

interface Waiting {
  job: ParseJob;
  resolve(request: Requests[keyof Requests]): void;
  reject(error: Error): void;
}

const refusal = (message: string): ApiError =>
  new ApiError(413, `The request body could not be read: ${message}`, "invalid_request_error", "request_too_large");

const shuttingDown = (): ApiError => new ApiError(503, "The server is shutting down", "server_error", "shutting_down");

/** One thread, one body at a time; it starts with the first large body, and again after one that it could not bear. */
export class RequestReader {
  readonly #line: Waiting[] = [];
  #thread: Worker | undefined;
  #current: Waiting | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #deadlineMs: number;

  constructor(options: RequestReaderOptions = {}) {
    this.#deadlineMs = options.deadlineMs ?? 30_000;
  }

  /** Throws ApiError: what is wrong with the request, or 413 when its reading takes too long. */
  readonly parse = <Kind extends keyof Requests>(
    kind: Kind,
    bytes: Uint8Array<ArrayBuffer>,
    bounds: RequestBounds,
  ): Promise<Requests[Kind]> | Requests[Kind] => {
    if (bytes.length <= INLINE_BYTES) return parseRequest(kind, bytes, bounds);
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(shuttingDown());
      this.#line.push({ job: { kind, bytes, bounds }, resolve: resolve as Waiting["resolve"], reject });
      this.#next();
    });
  };

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#line.splice(0)) waiting.reject(shuttingDown());
    const thread = this.#thread;
    this.#settle((waiting) => waiting.reject(shuttingDown()));
    await thread?.terminate();
  }

  #next(): void {
    if (this.#current || this.#closed) return;
    this.#current = this.#line.shift();
    if (!this.#current) return;
    this.#thread ??= this.#start();
    this.#timer = setTimeout(() => this.#giveUp(`it took over ${this.#deadlineMs / 1000} s`), this.#deadlineMs);
    this.#thread.postMessage(this.#current.job, [this.#current.job.bytes.buffer]);
  }

  #start(): Worker {
    const thread = new Worker(threadUrl(import.meta.url, "parseWorker"));
    thread.unref();
    thread.on("message", (result: ParseResult) => {
      if (thread !== this.#thread) return;
      this.#settle((waiting) => {
        if ("request" in result) return waiting.resolve(result.request);
        const { status, message, type, code, param } = result.refused;
        waiting.reject(new ApiError(status, message, type, code, param));
      });
      this.#next();
    });
    thread.on("error", (error: Error) => {
      if (thread !== this.#thread) return;
      this.#thread = undefined;
      this.#settle((waiting) => waiting.reject(error));
      this.#next();
    });
    return thread;
  }

  #giveUp(why: string): void {
    void this.#thread?.terminate();
    this.#thread = undefined;
    this.#settle((waiting) => waiting.reject(refusal(why)));
    this.#next();
  }

  #settle(how: (waiting: Waiting) => void): void {
    clearTimeout(this.#timer);
    const current = this.#current;
    this.#current = undefined;
    if (current) how(current);
  }
}
