import { BLOCK_TOKENS, type LanguageModel } from "../../src/infer/index.ts";

/** Blocks that tests of a model have taken so far. */
const taken = new WeakMap<LanguageModel, number>();

/** Tests only: one sequence of a model, with blocks of its own, without an engine. `scattered`: they do not lie in a row. */
export class OneSequence {
  readonly table: number[] = [];
  length = 0;

  constructor(
    readonly model: LanguageModel,
    { scattered = false } = {},
  ) {
    const blocks = Math.ceil(model.contextTokens / BLOCK_TOKENS);
    const first = (taken.get(model) ?? 0) + 1;
    taken.set(model, first + blocks - 1);
    model.reserve(first + blocks - 1);
    for (let n = 0; n < blocks; n++) this.table.push(scattered ? first + blocks - 1 - n : first + n);
  }

  /** Appends tokens, and gives logits [V] of the last, or of all [T, V]: one token after others in a step, else read. */
  async forward(tokens: readonly number[], { all = false } = {}): Promise<Float32Array> {
    const line = { ids: tokens, start: this.length, table: this.table, temperature: 1 };
    const kind = tokens.length === 1 && this.length > 0 ? "step" : "read";
    const { logits } = await this.model.run({ kind, lines: [{ ...line, wants: all ? "all" : "last" }] });
    this.length += tokens.length;
    return logits.subarray(0, (all ? tokens.length : 1) * this.model.vocabSize);
  }
}
