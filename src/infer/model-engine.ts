/** The engine: sequences of all clients share the passes of one model. */
import { SumbiError } from "../errors.ts";
import { Blocks } from "./blocks.ts";
import { Drafts, type Proposal } from "./drafts/drafts.ts";
import type { DraftsKind } from "./drafts/kinds.ts";
import type { DraftStatistics } from "./drafts/statistics.ts";
import {
  BLOCK_TOKENS,
  BusyError,
  type Engine,
  EngineClosedError,
  type GeneratedToken,
  type GenerateRequest,
  type LanguageModel,
  type Line,
  type Pass,
  type Scores,
  type TokenScore,
} from "./engine.ts";
import { Prefixes } from "./prefixes.ts";
import { PooledRows, type Pooling, type Reading, TokenScoring } from "./readings.ts";
import { type Sampled, type SampleRequest, SampleSink, samplingOf } from "./sample.ts";
import { admit, schedule } from "./schedule.ts";
import { Sequence, type Sink } from "./sequence.ts";
import type { Fetched, StoredPrompts } from "./storedPrompts.ts";
import { TokenStream } from "./stream.ts";

export interface ModelEngineOptions {
  /** Sequences under way at once; more wait in line. Default 256. */
  maxActive?: number;
  /** Requests that may wait; the next one gets a BusyError. */
  maxWaiting?: number;
  /** Prompt tokens read beside each step, so that a long prompt neither blocks the others nor outlives its client. Default 512. */
  prefillTokens?: number;
  /** Memory for keys and values (or latents). Default 1 GiB, and at least what a whole context takes. */
  cacheBytes?: number;
  /** Where prompts are kept beyond memory. Closed with the engine, and not used any more once weights have moved. */
  stored?: StoredPrompts;
  /**
   * Whether tokens are guessed and several checked in one pass, as long as that pays. Nobody's tokens change, where the model gives a row the same bits in any
   * company. Default off: then what runs does not depend on the clock.
   */
  drafts?: DraftsKind | Drafts;
  /** Closed with the engine. */
  onClose?: () => Promise<void>;
}

/** How many of so many places one client may have: some are left for others. */
export const shareOf = (places: number): number => Math.max(1, places - Math.ceil(places / 4));

/** Largest [T, V] block of logits asked of the model at once when a prompt is scored. */
const SCORE_BYTES = 64 * 2 ** 20;

/**
 * Over one LanguageModel. Prompts are read in chunks beside the others' steps; who has the same prompt as one that is being read waits for it and takes its blocks; prompts
 * that begin as an earlier one did are read from there on. Where blocks run out the youngest waits again and repeats its steps, to the bit.
 */
export class ModelEngine implements Engine {
  readonly limits: { contextTokens: number; vocabSize: number };
  readonly #model: LanguageModel;
  readonly #drafts: Drafts | undefined;
  readonly #options: Required<Omit<ModelEngineOptions, "drafts" | "onClose" | "stored">>;
  readonly #onClose: (() => Promise<void>) | undefined;
  readonly #blocks: Blocks;
  readonly #prefixes: Prefixes;
  #stored: StoredPrompts | undefined;
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  /** When each client that has sequences here was let in last. */
  readonly #clients = new Map<string, { turn: number; sequences: number }>();
  readonly #closing = new AbortController();
  #version: number | undefined;
  #clock = 0;
  #born = 0;
  #working: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  readonly #rouse = () => this.#wake?.();

  /** Sequences for which no row of blocks was found. */
  readonly #crooked = new WeakSet<Sequence>();

  constructor(model: LanguageModel, options: ModelEngineOptions = {}) {
    this.#model = model;
    this.limits = { contextTokens: model.contextTokens, vocabSize: model.vocabSize };
    const { maxActive = 256, maxWaiting = 4096, prefillTokens = 512, cacheBytes = 2 ** 30 } = options;
    this.#options = { maxActive, maxWaiting, prefillTokens, cacheBytes };
    this.#onClose = options.onClose;
    const { drafts = "off" } = options;
    this.#drafts = drafts instanceof Drafts ? drafts : Drafts.of(drafts, model);
    this.#stored = options.stored;
    // one more than a context: a block that others hold too is copied before it is written
    const least = Math.ceil(model.contextTokens / BLOCK_TOKENS) + 1;
    const most = Math.max(least, Math.floor(cacheBytes / model.blockBytes));
    this.#blocks = new Blocks(most, (blocks) => model.reserve(blocks));
    this.#prefixes = new Prefixes(this.#blocks);
    this.#version = model.version;
  }

  status(): { active: number; waiting: number } {
    // one that has ended in the midst of a pass holds its blocks until that pass has
    const active = this.#running.reduce((sum, { ended }) => sum + (ended ? 0 : 1), 0);
    return { active, waiting: this.#waiting.length };
  }

  /** Blocks that sequences hold, and those that only the memory of earlier prompts holds. */
  get blocks(): { held: number; remembered: number } {
    return { held: this.#blocks.used - this.#blocks.idle, remembered: this.#blocks.idle };
  }

  /** How guesses fared; undefined where none are made. */
  get drafts(): DraftStatistics | undefined {
    return this.#drafts?.statistics;
  }

  async close(): Promise<void> {
    this.#closing.abort(new EngineClosedError());
    for (const sequence of [...this.#running, ...this.#waiting]) this.#end(sequence, this.#closing.signal.reason);
    this.#wake?.();
    await this.#working;
    await Promise.all([this.#model.dispose?.(), this.#stored?.close(), this.#onClose?.()]);
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal, client = ""): AsyncGenerator<GeneratedToken, void> {
    const { prompt, maxTokens, scorePrompt } = request;
    this.#check(prompt, maxTokens);
    if (maxTokens === 0) return;
    const stream = new TokenStream(request.logprobs, this.limits.vocabSize, () => this.#wake?.());
    const reading =
      scorePrompt &&
      new TokenScoring(prompt, scorePrompt.top, this.limits.vocabSize, (all) => scorePrompt.receive(all));
    yield* this.#during(signal, stream, () => this.#add(client, request, stream, reading), stream.tokens());
  }

  async score(tokens: readonly number[], top: number, signal?: AbortSignal, client = ""): Promise<TokenScore[]> {
    this.#check(tokens, 0);
    const scoring = new TokenScoring(tokens, top, this.limits.vocabSize);
    // the last token is scored by the one before it and needs no pass of its own
    if (tokens.length > 1) await this.#readThrough(tokens.slice(0, -1), scoring, signal, client);
    return scoring.scores;
  }

  get vectorSize(): number | undefined {
    return this.#model.hiddenSize;
  }

  /** Throws SumbiError where the model does not tell what its head is given. */
  async embed(
    tokens: readonly number[],
    pooling: Pooling,
    signal?: AbortSignal,
    client = "",
  ): Promise<Float32Array<ArrayBuffer>> {
    this.#check(tokens, 0);
    if (this.vectorSize === undefined) throw new SumbiError("engine: this model does not tell what its head is given");
    const pooled = new PooledRows(pooling);
    await this.#readThrough(tokens, pooled, signal, client);
    return pooled.vector;
  }

  /** Reads a prompt for what is made of its rows alone. */
  async #readThrough(
    prompt: readonly number[],
    reading: Reading,
    signal: AbortSignal | undefined,
    client: string,
  ): Promise<void> {
    const request = { prompt, maxTokens: 0, sampling: samplingOf({ temperature: 0 }, 0), stopIds: [] };
    const stream = new TokenStream(undefined, this.limits.vocabSize, () => undefined);
    const add = () => this.#add(client, request, stream, reading);
    for await (const _ of this.#during(signal, stream, add, stream.tokens()));
  }

  /**
   * Answers to many prompts, `n` to each, in the order of prompts, each with seed + index · 2³² for its own: the same whatever else runs. All share the engine's
   * places with whoever else asks. Rejects with the signal's reason when aborted.
   */
  async sample(request: SampleRequest, signal?: AbortSignal, client = ""): Promise<Sampled[]> {
    const { prompts, n = 1, maxTokens, stopIds = [] } = request;
    for (const prompt of prompts) this.#check(prompt, maxTokens);
    const sink = new SampleSink(request, prompts.length * n);
    if (maxTokens === 0 || prompts.length * n === 0) return sink.results;
    const add = (): Sequence[] =>
      prompts.flatMap((prompt, p) =>
        Array.from({ length: n }, (_, i) => {
          const index = p * n + i;
          const sampling = samplingOf(request.sampling ?? {}, request.seed + index * 2 ** 32);
          return this.#enter(
            new Sequence(this.#born++, client, { prompt, maxTokens, sampling, stopIds }, sink.of(index)),
          );
        }),
      );
    for await (const _ of this.#during(signal, sink, add, sink.whole()));
    return sink.results;
  }

  #check(prompt: readonly number[], maxTokens: number): void {
    const { contextTokens, vocabSize } = this.limits;
    if (prompt.length === 0) throw new SumbiError("engine: expected at least one prompt token, got none");
    if (prompt.length + maxTokens > contextTokens)
      throw new SumbiError(
        `engine: expected prompt and answer to fit in ${contextTokens} tokens, got ${prompt.length} + ${maxTokens}`,
      );
    for (const id of prompt)
      if (!Number.isInteger(id) || id < 0 || id >= vocabSize)
        throw new SumbiError(`engine: expected token ids from 0 to ${vocabSize - 1}, got ${id}`);
  }

  /** Lets sequences in, passes on what comes of them, and sees them out however that ends. */
  async *#during<T>(
    signal: AbortSignal | undefined,
    sink: { end(error?: unknown): void },
    add: () => Sequence[],
    items: AsyncIterable<T>,
  ): AsyncGenerator<T, void> {
    const stop = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    stop.throwIfAborted();
    const sequences = add();
    const leave = (error?: unknown) => {
      sink.end(error);
      for (const sequence of sequences) this.#end(sequence, error);
    };
    const abort = () => leave(stop.reason);
    stop.addEventListener("abort", abort, { once: true });
    try {
      yield* items;
    } finally {
      stop.removeEventListener("abort", abort);
      leave();
    }
  }

  #add(client: string, request: Sequence["request"], sink: Sink, reading?: Reading): Sequence[] {
    const { maxActive, maxWaiting } = this.#options;
    // for some of those in line there is a place already
    if (this.#waiting.length + this.#running.length >= maxActive + maxWaiting)
      throw new BusyError(`engine: ${maxWaiting} requests are waiting already; try again later`);
    return [this.#enter(new Sequence(this.#born++, client, request, sink, reading))];
  }

  #enter(sequence: Sequence): Sequence {
    this.#waiting.push(sequence);
    // a newcomer comes before whoever was let in last, but not before those who wait longer
    const client = this.#clients.get(sequence.client) ?? { turn: this.#clock - 0.5, sequences: 0 };
    client.sequences++;
    this.#clients.set(sequence.client, client);
    this.#wake?.();
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
    return sequence;
  }

  /** Ends a sequence; what it holds is given back when no pass writes there any more. */
  #end(sequence: Sequence, error?: unknown): void {
    if (sequence.ended) return;
    sequence.ended = { error };
    sequence.sink.end(error);
    if (!sequence.busy) this.#remove(sequence);
    this.#wake?.();
  }

  #remove(sequence: Sequence): void {
    this.#stored?.forget(sequence);
    this.#handOver(sequence);
    this.#release(sequence);
    this.#running = this.#running.filter((one) => one !== sequence);
    this.#waiting = this.#waiting.filter((one) => one !== sequence);
    if (sequence.leader) sequence.leader.followers = sequence.leader.followers.filter((one) => one !== sequence);
    const client = this.#clients.get(sequence.client);
    if (client && --client.sequences === 0) this.#clients.delete(sequence.client);
  }

  /** Who waited for this one's reading goes on from where it was. */
  #handOver(sequence: Sequence): void {
    const [heir, ...others] = sequence.followers;
    if (!heir) return;
    heir.leader = undefined;
    heir.followers = others;
    for (const one of others) one.leader = heir;
    this.#fork(sequence, heir);
    sequence.followers = [];
  }

  #release(sequence: Sequence): void {
    const broken = sequence.ended?.error !== undefined;
    for (const block of sequence.table.splice(0))
      if (this.#blocks.release(block) && broken) this.#model.clearBlock(block);
    sequence.length = 0;
    sequence.moduleLength = 0;
  }

  /** `to` comes to hold all that `from` holds. */
  #fork(from: Sequence, to: Sequence): void {
    for (const block of from.table) this.#blocks.share(block);
    to.table.push(...from.table);
    to.length = from.length;
    to.moduleLength = from.moduleLength;
  }

  async #work(): Promise<void> {
    // several answers to one request come one after another within a few turns: they are to read together
    for (let turn = 0; turn < TURNS_TOGETHER; turn++) await null;
    while (this.#running.length + this.#waiting.length > 0) {
      if (this.#model.version !== this.#version) {
        this.#version = this.#model.version;
        this.#prefixes.clear();
        await this.#leaveStored();
      }
      this.#admit();
      for (const fetched of this.#stored?.take() ?? []) this.#place(fetched);
      for (const one of this.#running) {
        one.own = 0;
        for (const block of one.table) if (this.#blocks.holders(block) === 1) one.own++;
        one.copies = this.#isShared(one);
      }
      const blocks = this.#blocks.most - this.#blocks.used + this.#blocks.idle;
      const { preempt, steps, reads } = schedule(this.#running, { tokens: this.#options.prefillTokens, blocks });
      for (const one of preempt) this.#preempt(one);
      const only = steps.length === 1 && reads.length === 0;
      for (const pass of steps) await this.#step(pass, only);
      for (const pass of reads) await this.#read(pass);
      if (steps.length + reads.length + preempt.length > 0) continue;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  #admit(): void {
    const { maxActive } = this.#options;
    const admitted = admit(this.#waiting, this.#running, {
      free: maxActive - this.#running.length,
      share: shareOf(maxActive),
      blocks: this.#blocks.most - this.#blocks.used + this.#blocks.idle,
      turnOf: (client) => this.#clients.get(client)?.turn ?? 0,
    });
    if (admitted.length === 0) return;
    const inside = new Set(admitted);
    this.#waiting = this.#waiting.filter((one) => !inside.has(one));
    const reading = new Map<string, Sequence>();
    for (const one of this.#running)
      if (one.left > 0 && !one.leader && !one.reading) reading.set(one.request.prompt.join(), one);
    for (const one of admitted) {
      const client = this.#clients.get(one.client);
      if (client) client.turn = ++this.#clock;
      this.#running.push(one);
      if (one.reading) continue;
      const key = one.request.prompt.join();
      one.leader = reading.get(key);
      if (one.leader) one.leader.followers.push(one);
      else {
        one.table.push(...this.#prefixes.find(one.request.prompt));
        one.length = one.table.length * BLOCK_TOKENS;
        one.cached = one.length;
        reading.set(key, one);
        this.#stored?.fetch(one, this.#rouse);
      }
    }
  }

  /** Blocks came from beyond memory: as many as there is room for find places. */
  #place(fetched: Fetched): void {
    const { one, blocks } = fetched;
    for (const bytes of blocks) {
      if (this.#blocks.most - this.#blocks.used + this.#blocks.idle === 0) {
        fetched.more = false;
        break;
      }
      const block = this.#take(one.table.at(-1), Math.max(1, one.needs - one.table.length));
      this.#model.stored?.write(block, bytes);
      one.table.push(block);
    }
    one.length = one.table.length * BLOCK_TOKENS;
    one.cached = one.length;
    this.#stored?.next(fetched, this.#rouse);
  }

  /** Weights have moved: what is kept beyond memory is of others. */
  async #leaveStored(): Promise<void> {
    const stored = this.#stored;
    if (stored === undefined) return;
    this.#stored = undefined;
    for (const one of this.#running) stored.forget(one);
    await stored.close();
  }

  #preempt(one: Sequence): void {
    this.#stored?.forget(one);
    this.#release(one);
    this.#running = this.#running.filter((other) => other !== one);
    this.#waiting.unshift(one);
  }

  /** Whether the next position falls in a block that others hold too. */
  #isShared({ length, table }: Sequence): boolean {
    const block = table[Math.floor(length / BLOCK_TOKENS)];
    return block !== undefined && length % BLOCK_TOKENS > 0 && this.#blocks.holders(block) > 1;
  }

  /** Makes blocks for `count` more positions. */
  #extend(one: Sequence, count: number): void {
    const { table } = one;
    if (this.#isShared(one)) {
      const at = Math.floor(one.length / BLOCK_TOKENS);
      const old = table[at] as number;
      const block = this.#take(table[at - 1], 1);
      this.#model.copyBlock(old, block);
      this.#blocks.release(old);
      table[at] = block;
    }
    const ahead = Math.min(LOOK_AHEAD, Math.ceil((one.request.prompt.length + one.request.maxTokens) / BLOCK_TOKENS));
    if (table.length * BLOCK_TOKENS < one.length + count) this.#straighten(one, Math.max(ahead, table.length + 1));
    while (table.length * BLOCK_TOKENS < one.length + count)
      table.push(this.#take(table.at(-1), Math.max(1, ahead - table.length)));
  }

  /**
   * Who is alone comes to lie in a row of blocks, with room behind, so that its past can be read in place: blocks that it shares with the memory of
   * prompts are copied. Where there is no such row it stays as it is, for good.
   */
  #straighten(one: Sequence, room: number): void {
    const { table } = one;
    const [first = 0, last = 0] = [table[0], table.at(-1)];
    if (this.#running.length > 1 || first === 0 || this.#crooked.has(one)) return;
    const inRow = table.every((block, n) => block === first + n);
    if (inRow && this.#blocks.holders(last + 1) === 0) return;
    if (this.#blocks.most - this.#blocks.used < room) return void this.#crooked.add(one);
    const moved: number[] = [];
    for (const block of table) {
      const to = this.#take(moved.at(-1), room - moved.length);
      this.#model.copyBlock(block, to);
      moved.push(to);
    }
    for (const block of table.splice(0)) this.#blocks.release(block);
    table.push(...moved);
    if (moved.some((block, n) => block !== moved[0]! + n)) this.#crooked.add(one);
  }

  #take(after: number | undefined, run: number): number {
    for (;;) {
      const block = this.#blocks.take(after, run);
      if (block !== undefined) return block;
      if (!this.#prefixes.evict()) throw new Error("engine: no block is free, though the schedule counted on one");
    }
  }

  /** `only`: nothing else runs in this turn, whose blocks could be spent on guesses. */
  async #step(pass: readonly Sequence[], only: boolean): Promise<void> {
    const going = pass.filter((one) => !one.ended);
    const proposal = only ? this.#drafts?.propose(going, this.#spare(going)) : undefined;
    const began = performance.now();
    const lengths = going.map(({ length }) => length);
    if (proposal) await this.#checkGuesses(going, proposal);
    else {
      const lines = going.map((one): Line => {
        this.#extend(one, 1);
        const { temperature } = one.request.sampling;
        return { ids: [one.ids[one.length] ?? 0], start: one.length, table: one.table, wants: "last", temperature };
      });
      await this.#run("step", going, lines, (scores) => {
        for (const [row, one] of going.entries()) {
          one.length++;
          if (one.length === one.ids.length) this.#draw(one, scores, row);
        }
      });
    }
    if (!this.#drafts || !only || going.some(({ ended }) => ended?.error !== undefined)) return;
    const gained = going.map(({ ids, length, ended }, i) => (ended ? ids.length - 1 : length) - lengths[i]!);
    this.#drafts.took(going, proposal, gained, (performance.now() - began) / 1000);
  }

  /** Makes a step of each, and as many more in the same pass as guesses turn out to be what is drawn. The ids of the module's guesses are told to `proposal`. */
  async #checkGuesses(going: readonly Sequence[], proposal: Proposal): Promise<void> {
    const { byModule } = proposal;
    const lines = going.map((one, i): Line => {
      const { ids: known, length: start, table } = one;
      const { count, ids: guessed } = proposal.guesses[i]!;
      this.#extend(one, 1 + count);
      const { temperature } = one.request.sampling;
      const ids = [known[start] ?? 0, ...guessed];
      const seen = byModule && known.slice(Math.min(one.moduleLength, start - 1), start + 1);
      return { ids, start, table, wants: "all", temperature, seen };
    });
    await this.#run(byModule ? "draft" : "check", going, lines, (scores) => {
      const made = scores.guesses ?? [];
      if (byModule) proposal.guesses = proposal.guesses.map((of, i) => ({ ...of, ids: made.slice(i, i + of.count) }));
      let row = 0;
      for (const [i, one] of going.entries()) {
        const { ids } = proposal.guesses[i]!;
        if (byModule) one.moduleLength = one.length + 1;
        for (let j = 0; j <= ids.length && !one.ended; j++) {
          one.length++;
          if (one.length < one.ids.length) break;
          this.#draw(one, scores, row + j, ids.slice(j));
          // what may come next must be known before it can be drawn
          if (one.ids.at(-1) !== ids[j] || one.request.guide?.ready()) break;
        }
        row += byModule ? 2 : ids.length + 1;
        this.#cutBack(one);
      }
    });
  }

  /** Blocks that are left when each of these has made a step. */
  #spare(going: readonly Sequence[]): number {
    const free = this.#blocks.most - this.#blocks.used + this.#blocks.idle;
    return going.reduce(
      (left, { length, holds, copies }) => left - Math.ceil((length + 1) / BLOCK_TOKENS) + holds - (copies ? 1 : 0),
      free,
    );
  }

  /** Gives blocks back that hold none of its positions; what its last one holds beyond them is written anew. */
  #cutBack(one: Sequence): void {
    for (const block of one.table.splice(Math.ceil(one.length / BLOCK_TOKENS))) this.#blocks.release(block);
  }

  async #read(pass: readonly { who: Sequence; tokens: number }[]): Promise<void> {
    const going = pass.filter(({ who }) => !who.ended);
    const rowsMost = Math.max(1, Math.floor(SCORE_BYTES / (4 * this.limits.vocabSize)));
    const lines = going.map(({ who, tokens }): Line => {
      const all = who.reading?.rows === "all";
      const count = all ? Math.min(tokens, rowsMost) : tokens;
      this.#extend(who, count);
      const wants = all ? "all" : count === who.left ? "last" : "none";
      const { temperature } = who.request.sampling;
      const ids = who.ids.slice(who.length, who.length + count);
      return { ids, start: who.length, table: who.table, wants, temperature };
    });
    await this.#run(
      "read",
      going.map(({ who }) => who),
      lines,
      (scores) => {
        let row = 0;
        for (const [i, { who }] of going.entries()) {
          const { ids, wants } = lines[i] as Line;
          who.turn = ++this.#clock;
          const rows = wants === "all" ? ids.length : wants === "last" ? 1 : 0;
          if (rows > 0) who.reading?.take(scores, row, who.length, rows);
          who.length += ids.length;
          this.#stored?.keep(who);
          row += rows;
          if (who.left === 0) this.#haveRead(who, scores, row - 1);
        }
      },
    );
  }

  /** One pass: what it gives is used before the next may overwrite it. */
  async #run(
    kind: Pass["kind"],
    going: readonly Sequence[],
    lines: Line[],
    use: (scores: Scores) => void,
  ): Promise<void> {
    if (going.length === 0) return;
    for (const one of going) one.busy = true;
    let failure: { error: unknown } | undefined;
    try {
      const scores = await this.#model.run({ kind, lines });
      // worked out beside the pass, so that it is there by now as a rule
      for (const one of going)
        for (const { request } of [one, ...one.followers]) {
          const wait = request.guide?.ready();
          if (wait) await wait;
        }
      use(scores);
    } catch (error) {
      failure = { error };
    }
    for (const one of going) {
      one.busy = false;
      if (failure) this.#end(one, failure.error);
      if (one.ended) this.#remove(one);
    }
  }

  /** A prompt was read: its first token is drawn, and those of all who waited for it. */
  #haveRead(who: Sequence, scores: Scores, row: number): void {
    who.reading?.end();
    const followers = who.followers.splice(0);
    for (const one of followers) {
      one.leader = undefined;
      one.cached = who.promptLength;
      this.#fork(who, one);
    }
    for (const one of [who, ...followers]) {
      if (one.ended) continue;
      if (one.request.maxTokens === 0) this.#end(one);
      else if (one.ids.length === one.promptLength) this.#draw(one, scores, row);
    }
    if (!who.ended?.error) this.#prefixes.add(who.request.prompt, who.table);
  }

  /** `guesses`: what the token and those after it were thought to be. */
  #draw(one: Sequence, scores: Scores, row: number, guesses: readonly number[] = []): void {
    if (one.ended) return;
    try {
      one.sampler.next(scores, row, this.limits.vocabSize, one.request.guide?.allowed());
      one.guessed = guesses.length > 0 && guesses[0] === one.sampler.id;
      one.refuted = one.guessed ? 0 : guesses.length;
      if (one.take(scores, row)) this.#end(one);
    } catch (error) {
      this.#end(one, error);
    }
  }
}

const TURNS_TOGETHER = 32;

/** Blocks in a row that a sequence looks for when it begins somewhere new. */
const LOOK_AHEAD = 32;
