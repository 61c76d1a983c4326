/** Where in a text's tokens a beginning of it ends. */
import type { Tokenizer } from "../tokenizer/index.ts";

/** Places between the tokens of a text that a template wrote. */
export class Places {
  /** Bytes of the text before each token, and of all of it, to the number of tokens before. */
  readonly #starts = new Map<number, number>();
  readonly #bytes: number;

  constructor(
    ids: readonly number[],
    private readonly text: string,
    tokenizer: Tokenizer,
  ) {
    let bytes = 0;
    for (const [at, id] of ids.entries()) {
      this.#starts.set(bytes, at);
      bytes += tokenizer.bytesOf(id).length;
    }
    this.#starts.set(bytes, ids.length);
    this.#bytes = bytes;
  }

  /** How many tokens a beginning of the text takes; undefined when it is none, or ends within a token. */
  after(beginning: string): number | undefined {
    if (!this.text.startsWith(beginning) || this.#bytes !== Buffer.byteLength(this.text)) return undefined;
    return this.#starts.get(Buffer.byteLength(beginning));
  }
}
