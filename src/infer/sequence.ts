/** One sequence on its way through the engine: its ids, the blocks it holds, what it draws with and whom its tokens go to. */
import { BLOCK_TOKENS, type GenerateRequest, type Scores } from "./engine.ts";
import type { Reading } from "./readings.ts";
import { Sampler } from "./sampling.ts";
import type { Running, Waiting } from "./schedule.ts";

/** Where tokens go. */
export interface Sink {
  /** Whether it takes another token now. */
  ready(): boolean;
  /** The sampler holds the token drawn; `scores` and the row are of where it was drawn. */
  token(sequence: Sequence, scores: Scores, row: number, finish: "stop" | "length" | undefined): void;
  /** Nothing follows. */
  end(error?: unknown): void;
}

export class Sequence implements Running, Waiting {
  /** The prompt, then what was drawn. */
  readonly ids: number[];
  /** Blocks of its positions, in order. */
  readonly table: number[] = [];
  readonly sampler: Sampler;
  readonly stops: ReadonlySet<number>;
  /** Positions whose rows the cache holds. */
  length = 0;
  /** Of them and the one to come, those that the model's own module was asked about. */
  moduleLength = 0;
  /** How many of the prompt's tokens were found in the cache. */
  cached = 0;
  turn = 0;
  own = 0;
  copies = false;
  /** Whether the token drawn last was guessed, and how many guesses it refuted. */
  guessed = false;
  refuted = 0;
  /** Reads the same prompt, for this one too. */
  leader: Sequence | undefined;
  followers: Sequence[] = [];
  /** Blocks of its prompt are on their way from beyond memory. */
  fetching = false;
  /** In a pass right now: what it holds stays until the pass ends. */
  busy = false;
  /** Over: with an error, or none. */
  ended: { error?: unknown } | undefined;

  constructor(
    readonly born: number,
    readonly client: string,
    readonly request: Pick<GenerateRequest, "prompt" | "maxTokens" | "sampling" | "stopIds" | "guide">,
    readonly sink: Sink,
    readonly reading?: Reading,
  ) {
    this.ids = [...request.prompt];
    this.sampler = new Sampler(request.sampling, request.prompt);
    this.stops = new Set(request.stopIds);
  }

  get promptLength(): number {
    return this.request.prompt.length;
  }

  get left(): number {
    return Math.max(0, this.promptLength - this.length);
  }

  get holds(): number {
    return this.table.length;
  }

  get needs(): number {
    return Math.ceil(this.promptLength / BLOCK_TOKENS);
  }

  get ready(): boolean {
    return this.leader === undefined && !this.fetching && this.ended === undefined && this.sink.ready();
  }

  /** Takes a token that was drawn; true when it was the last. */
  take(scores: Scores, row: number): boolean {
    const { id } = this.sampler;
    this.ids.push(id);
    this.request.guide?.accept(id);
    const drawn = this.ids.length - this.promptLength;
    const finish = this.stops.has(id) ? "stop" : drawn === this.request.maxTokens ? "length" : undefined;
    this.sink.token(this, scores, row, finish);
    return finish !== undefined;
  }
}
