/** What the model says to the recipe's samples while it is trained. */
import { loadTokenizer } from "../data/index.ts";
import { Decoder, ModelEngine, SAMPLING_DEFAULTS } from "../infer/index.ts";
import type { ModelConfig } from "../model/index.ts";
import type { ParameterStore, Recipe } from "../train/index.ts";

const SAMPLE_TOKENS = 160;
/** The longest that all samples of one time may take: training waits for them. */
const SAMPLES_MILLIS = 60_000;

export interface Sample {
  prompt: string;
  text: string;
}

/** Answers a recipe's samples with the weights as they are at the moment: the decoder reads the store in place. */
export class Samples {
  #engine: ModelEngine | undefined;
  #config: ModelConfig | undefined;

  constructor(
    readonly recipe: Recipe,
    readonly store: ParameterStore,
    readonly tokenizerDir: string,
    readonly millis: number = SAMPLES_MILLIS,
  ) {}

  /** Greedy text for every prompt of the recipe, as far as the time goes; `late` when it did not suffice. */
  async take(config: ModelConfig): Promise<{ samples: Sample[]; late?: string }> {
    if (this.recipe.samples.length === 0) return { samples: [] };
    const until = performance.now() + this.millis;
    if (this.#config !== config) {
      await this.#engine?.close();
      const contextTokens = Math.min(config.max_position_embeddings, 1024);
      this.#engine = new ModelEngine(await Decoder.create(config, this.store, { contextTokens }));
      this.#config = config;
    }
    const engine = this.#engine;
    if (engine === undefined) return { samples: [] };
    const { contextTokens } = engine.limits;
    const tokenizer = loadTokenizer(this.tokenizerDir);
    const samples: Sample[] = [];
    const late = (): string =>
      `the samples took over ${this.millis / 1000} s: ${samples.length} of ${this.recipe.samples.length} were written, the last not to its end`;
    for (const sample of this.recipe.samples) {
      if (performance.now() > until) return { samples, late: late() };
      const prompt = typeof sample === "string" ? sample : sample.ask;
      const asked =
        typeof sample === "string"
          ? tokenizer.encode(sample)
          : tokenizer.encodeChat([{ role: "user", content: sample.ask }], { addGenerationPrompt: true }).ids;
      const ids: number[] = [];
      const ids_T = asked.slice(0, contextTokens - 1);
      const request = {
        prompt: ids_T,
        maxTokens: Math.min(SAMPLE_TOKENS, contextTokens - ids_T.length),
        sampling: { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 },
        stopIds: tokenizer.eosIds,
      };
      for await (const token of engine.generate(request)) {
        if (token.finish === "stop" || performance.now() > until) break;
        // a model may have more ids than its tokenizer has tokens: they stand for nothing
        if (token.id < tokenizer.vocabSize) ids.push(token.id);
      }
      samples.push({ prompt, text: tokenizer.decode(ids, { skipSpecial: false }) });
    }
    return performance.now() > until ? { samples, late: late() } : { samples };
  }

  async close(): Promise<void> {
    await this.#engine?.close();
  }
}
