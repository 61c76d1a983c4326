/** Binds calls, and nothing else: an answer is free until calls are opened, and of their grammar from there on. */
import { SumbiError } from "../../errors.ts";
import type { Guide } from "../../infer/browser.ts";
import type { GrammarGuide } from "../structure/service.ts";
import { ReasoningSplit, THINK_CLOSE, THINK_OPEN } from "../text.ts";
import type { ServeTokenizer, TextStream } from "../tokens.ts";
import type { CallReader } from "./reader.ts";

export interface CallGuideOptions {
  /** Opens the grammar of calls, of which so much is written, in units of the reader's markup. */
  open(begun: string): GrammarGuide;
  /** The thought before the answer; absent: there is none. */
  split?: { inThought: boolean };
  /** A call that was begun in another way than the grammar's is no answer. */
  strict: boolean;
}

export class CallGuide implements Guide {
  readonly #split: ReasoningSplit | undefined;
  readonly #stream: TextStream;
  readonly #tags: ReadonlyMap<number | undefined, string>;
  #inner: GrammarGuide | undefined;

  constructor(
    private readonly reader: CallReader,
    private readonly tokenizer: ServeTokenizer,
    private readonly options: CallGuideOptions,
  ) {
    this.#split = options.split && new ReasoningSplit(options.split);
    this.#stream = tokenizer.stream({ skipSpecial: true });
    const tags = options.split ? [THINK_OPEN, THINK_CLOSE] : [];
    this.#tags = new Map([...tags.map((tag) => [tokenizer.idOf(tag), tag] as const), ...reader.markup.units]);
  }

  ready(): Promise<void> | undefined {
    return this.#inner?.ready();
  }

  allowed(): Uint32Array | undefined {
    if (this.#inner?.refused && this.options.strict)
      throw new SumbiError("tools: a call was begun that strict schemas do not allow");
    return this.#inner?.allowed();
  }

  accept(id: number): void {
    if (this.#inner !== undefined) return this.#inner.accept(id);
    const tag = this.#tags.get(id);
    const text =
      tag !== undefined ? this.#stream.flush() + tag : id < this.tokenizer.vocabSize ? this.#stream.push(id) : "";
    this.reader.push(this.#split ? this.#split.push(text).content : text);
    const { opening } = this.reader;
    if (opening !== undefined) this.#inner = this.options.open(opening.begun + opening.tail);
  }

  close(): void {
    this.#inner?.close();
  }
}
