/** Grammars for a served model's answers, worked out beside the event loop: in a thread that ends when it takes too long, and begins again. */
import { Worker } from "node:worker_threads";
import { type ApiError, invalidValue } from "../../errors.ts";
import type { Guide } from "../../infer/browser.ts";
import { threadUrl } from "../../thread.ts";
import type { Answer, Job } from "./worker.ts";
import type { Vocabulary } from "./xgrammar.ts";

/** What makes guides of grammars. */
export interface GrammarSource {
  /** Throws ApiError 400, about the parameter `param`, for a grammar that is none, or that takes too long. */
  check(grammar: string, param: string): Promise<void>;
  /** A guide for one answer, of a grammar that was checked. */
  open(grammar: string, options?: OpenOptions): GrammarGuide;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** What has been written of it already, marks as their stand-ins. */
  begun?: string;
  /** Tokens of markup may come where the grammar has their stand-ins. */
  marks?: boolean;
}

/** Follows one answer through its grammar. To be closed. */
export interface GrammarGuide extends Guide {
  /** When ready: what it began with is not of the grammar, of which it says nothing more. */
  readonly refused: boolean;
  close(): void;
}

export interface GrammarServiceOptions {
  /** Longest time for a grammar to be read, and for the next token to be worked out. */
  compileMs?: number;
  tokenMs?: number;
  /** How much more memory the process may have when a grammar has been read. */
  compileBytes?: number;
}

/** One text in the thread. */
interface Text {
  readonly grammar: string;
  readonly begun: string;
  readonly ids: number[];
  readonly bits: SharedArrayBuffer;
  pending: { resolve(): void; promise: Promise<void> } | undefined;
  error: Error | undefined;
  refused: boolean;
}

const LONGEST_GRAMMAR = 2 ** 20;
const WATCH_MS = 25;

/** One thread for all; a grammar is read in a thread of its own first, so that one that does not end, or takes all memory, ends nobody's answer. */
export class GrammarService implements GrammarSource {
  readonly #options: Required<GrammarServiceOptions>;
  readonly #texts = new Map<number, Text>();
  readonly #words: number;
  /** Grammars that were read. */
  readonly #known = new Set<string>();
  #made: Vocabulary | undefined;
  #thread: Worker | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trial: Promise<Error | undefined> = Promise.resolve(undefined);
  #next = 1;
  #closed = false;

  /** `make` is called when a grammar is first asked for. */
  constructor(
    private readonly make: () => Vocabulary,
    vocabSize: number,
    options: GrammarServiceOptions = {},
  ) {
    const { compileMs = 10_000, tokenMs = 2_000, compileBytes = 2 ** 30 } = options;
    this.#options = { compileMs, tokenMs, compileBytes };
    this.#words = Math.ceil(vocabSize / 32);
  }

  async check(grammar: string, param: string): Promise<void> {
    if (this.#known.has(grammar)) return;
    const refuse = (why: string): ApiError => invalidValue(`${param}: ${why}`, param);
    if (grammar.length > LONGEST_GRAMMAR)
      throw refuse(`expected at most ${LONGEST_GRAMMAR} characters of a grammar, got ${grammar.length}`);
    // one at a time: each has the memory for itself
    const before = this.#trial;
    this.#trial = before
      .then(() => this.#tryOut(grammar).catch((error: Error) => error))
      .then((error) => {
        if (error) return error;
        if (this.#known.size >= MOST_KNOWN) this.#known.clear();
        this.#known.add(grammar);
        return undefined;
      });
    const error = await this.#trial;
    if (error) throw refuse(error.message);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const of of [...this.#texts.keys()]) this.#settle(of, new Error("the server is shutting down"));
    await this.#thread?.terminate();
  }

  /** Reads a grammar in a thread that nobody else uses. */
  async #tryOut(grammar: string): Promise<void> {
    const { compileMs, compileBytes } = this.#options;
    const thread = silentThread();
    let said = "";
    thread.stderr.on("data", (text: Buffer) => (said = (said + text).slice(-2000)));
    const before = process.memoryUsage.rss();
    let watch: ReturnType<typeof setInterval> | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        let until = Infinity;
        watch = setInterval(() => {
          if (performance.now() > until) reject(new Error(`it took over ${compileMs / 1000} s to read the grammar`));
          else if (process.memoryUsage.rss() - before > compileBytes)
            reject(new Error(`it took over ${Math.round(compileBytes / 2 ** 20)} MiB to read the grammar`));
        }, WATCH_MS);
        thread.on("error", (error) => reject(new Error(`the grammar cannot be read: ${error.message}`)));
        thread.on("message", (answer: Answer) => {
          if ("ready" in answer) {
            until = performance.now() + compileMs;
            thread.postMessage({ open: 0, grammar, begun: "", ids: [], bits: this.#bits() } satisfies Job);
          } else if ("broken" in answer)
            reject(new Error(`the grammar cannot be read: ${faultOf(said) ?? answer.broken}`));
          else if (answer.error === undefined) resolve();
        });
        thread.postMessage({ vocabulary: this.#vocabulary } satisfies Job);
      });
    } finally {
      clearInterval(watch);
      await thread.terminate();
    }
  }

  get #vocabulary(): Vocabulary {
    return (this.#made ??= this.make());
  }

  #bits(): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * this.#words);
  }

  open(grammar: string, { begun = "", marks = false }: OpenOptions = {}): GrammarGuide {
    const of = this.#next++;
    const state = { pending: undefined, error: undefined, refused: false };
    const text: Text = { grammar, begun, ids: [], bits: this.#bits(), ...state };
    const bits = new Uint32Array(text.bits);
    const closed = marks ? [] : (this.#vocabulary.marks ?? []);
    this.#texts.set(of, text);
    this.#post({ open: of, grammar, begun, ids: [], bits: text.bits }, text);
    return {
      ready: () => text.pending?.promise,
      get refused() {
        return text.refused;
      },
      allowed: () => {
        if (text.error) throw text.error;
        if (text.refused) return undefined;
        for (const id of closed) bits[id >>> 5]! &= ~(1 << (id & 31));
        return bits;
      },
      accept: (id) => {
        // the end of a text is no part of it, and nothing comes after
        if (this.#vocabulary.stopIds.includes(id)) return;
        text.ids.push(id);
        if (this.#texts.has(of) && !text.refused) this.#post({ accept: of, id }, text);
      },
      close: () => {
        if (!this.#texts.delete(of)) return;
        text.pending?.resolve();
        this.#thread?.postMessage({ close: of } satisfies Job);
      },
    };
  }

  #post(job: Job, text: Text): void {
    if (text.pending === undefined) {
      let resolve = (): void => undefined;
      const promise = new Promise<void>((done) => (resolve = done));
      text.pending = { resolve, promise };
    }
    if (this.#closed) return void text.pending.resolve();
    this.#thread ??= this.#start();
    this.#thread.postMessage(job);
    this.#watch();
  }

  /** Whoever waits longest is what the thread is at: its answers come in turn. */
  #watch(): void {
    if (this.#timer !== undefined) return;
    const waiting = [...this.#texts].find(([, { pending }]) => pending !== undefined);
    if (waiting === undefined) return;
    const [of] = waiting;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#settle(of, new Error("the grammar took too long to say what may come next"));
      this.#restart();
    }, this.#options.tokenMs + this.#options.compileMs);
  }

  #settle(of: number, error?: Error, refused = false): void {
    const text = this.#texts.get(of);
    if (text === undefined) return;
    if (error) {
      text.error = error;
      this.#texts.delete(of);
    }
    text.refused = refused;
    text.pending?.resolve();
    text.pending = undefined;
  }

  #start(): Worker {
    const thread = silentThread();
    thread.unref();
    thread.on("message", (answer: Answer) => {
      if (thread !== this.#thread) return;
      if ("ready" in answer) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if ("broken" in answer) this.#restart();
      else this.#settle(answer.of, answer.error === undefined ? undefined : new Error(answer.error), answer.refused);
      this.#watch();
    });
    thread.on("error", () => thread === this.#thread && this.#restart());
    thread.postMessage({ vocabulary: this.#vocabulary } satisfies Job);
    return thread;
  }

  /** Another thread, in which all that were under way go on. */
  #restart(): void {
    void this.#thread?.terminate();
    this.#thread = undefined;
    if (this.#closed || this.#texts.size === 0) return;
    const thread = (this.#thread = this.#start());
    for (const [open, { grammar, begun, ids, bits, refused }] of this.#texts)
      if (!refused) thread.postMessage({ open, grammar, begun, ids, bits } satisfies Job);
    this.#watch();
  }
}

const MOST_KNOWN = 1024;

/** XGrammar writes what is wrong with a grammar to the standard error of its thread. */
const silentThread = (): Worker => new Worker(threadUrl(import.meta.url, "worker"), { stdout: true, stderr: true });

const faultOf = (said: string): string | undefined => /\[FATAL\] \S+ (.{1,300})/.exec(said)?.[1]?.trim();
