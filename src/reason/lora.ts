/** Adapters instead of all weights: what a stage is told of them, and the store that it then trains. */
import { crc32 } from "node:zlib";
import { z } from "zod";
import { type Adapter, loadWeights, RANK_MAX, readAdapter } from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";
import { type Lora, loraLayers, type ModelConfig, mtpDepth, type Weights } from "../model/index.ts";
import type { OnProgress } from "../progress.ts";
import { loraStore, type ParameterStore } from "../train/index.ts";

/** `lora` among a stage's options. What is left out is the earlier adapter's, or the default. */
export const loraSchema = z.strictObject({
  rank: z.number().int().min(1).max(RANK_MAX).optional(),
  alpha: z.number().positive().optional(),
  /** Names of linear layers, as PEFT takes them; empty: all but routed experts. */
  targets: z.array(z.string()).readonly().optional(),
  rslora: z.boolean().optional(),
  /** The folder of an adapter to go on with. */
  from: z.string().optional(),
});
export type LoraOptions = z.infer<typeof loraSchema>;

/** How much more an adapter's learning rate is than that of all weights, where nobody says another. */
const LORA_RATE = 10;

/** Options with a learning rate: their own, else `rate`, or what an adapter has in its place. */
export const withRate = <O extends { learningRate?: number; lora?: LoraOptions }>(options: O, rate: number) => ({
  ...options,
  learningRate: options.learningRate ?? rate * (options.lora ? LORA_RATE : 1),
});

const DEFAULT: Lora = { rank: 8, alpha: 32, targets: [], rslora: false };

/** The options of a run that has begun, in which nothing is left out any more. */
export const wholeLora = (given: LoraOptions): LoraOptions & Lora => ({ ...DEFAULT, ...given });

/** The options with nothing left out. Throws ConfigError for targets that the model has not, or that are not those of the earlier adapter. */
export async function resolveLora(given: LoraOptions, config: ModelConfig): Promise<LoraOptions & Lora> {
  const earlier = given.from === undefined ? undefined : await earlierAdapter(given.from, config);
  const { rank, alpha, targets, rslora } = { ...DEFAULT, ...earlier?.lora, ...(earlier ? {} : given) };
  for (const key of ["rank", "alpha", "rslora"] as const)
    if (earlier && given[key] !== undefined && given[key] !== { rank, alpha, rslora: rslora ?? false }[key])
      throw new ConfigError(
        `lora.${key}: expected that of the adapter that is gone on with, ${{ rank, alpha, rslora: rslora ?? false }[key]}, or nothing, got ${given[key]}`,
      );
  if (earlier && given.targets !== undefined && given.targets.length > 0)
    throw new ConfigError("lora.targets: expected nothing where an adapter is gone on with: it has its own");
  loraLayers(config, targets);
  return {
    ...(given.from === undefined ? {} : { from: given.from }),
    rank,
    alpha,
    targets: [...targets],
    rslora: rslora ?? false,
  };
}

async function earlierAdapter(dir: string, config: ModelConfig): Promise<Adapter> {
  const adapter = await readAdapter(dir, config);
  if (adapter.dropout > 0)
    throw new ConfigError(
      `${dir}: expected an adapter without dropout to train on, got lora_dropout ${adapter.dropout}; set it to 0 in adapter_config.json to go on without`,
    );
  return adapter;
}

/** A model without its MTP modules: they are not adapted. */
export const adaptedConfig = (config: ModelConfig): ModelConfig =>
  mtpDepth(config) === 0 ? config : ({ ...config, num_nextn_predict_layers: 0 } as ModelConfig);

/** A store of adapters over the weights of a checkpoint, and a checksum of these: a run goes on over the same. */
export async function openAdapters(
  dir: string,
  config: ModelConfig,
  lora: LoraOptions & Lora,
  { lanes, seed, fresh, onProgress }: { lanes: number; seed: number; fresh: boolean; onProgress?: OnProgress },
): Promise<{ store: ParameterStore; base: string }> {
  const { weights } = await loadWeights(dir, config, { onProgress });
  let sum = 0;
  for (const { data } of (weights as Map<string, { data: Float32Array }>).values())
    sum = crc32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), sum);
  const store = loraStore(config, lora, weights as Weights, lanes, seed);
  if (fresh && lora.from !== undefined) {
    const { tensors } = await earlierAdapter(lora.from, config);
    for (const [key, { data }] of tensors) store.parameter(key).data.set(data);
    store.changed();
  }
  return { store, base: sum.toString(16) };
}

/** Tells whether adapters have moved since they were first asked about. */
export class Movement {
  readonly #first: number;

  constructor(private readonly store: ParameterStore) {
    this.#first = sumOf(store.parameters);
  }

  /** What to tell of adapters that are as they were; undefined for others. */
  stillness(steps: number): string | undefined {
    if (sumOf(this.store.parameters) !== this.#first) return undefined;
    const { store } = this;
    const zero = store
      .keys()
      .every((key) => key.endsWith("lora_A.weight") || store.parameter(key).data.every((x) => x === 0));
    return (
      `the adapter has not moved in ${steps} steps: ${zero ? "B is still all zero, so that the model is the one that it was" : "it is the one that was gone on with"}. ` +
      "Either no step had anything to teach (all groups dead), or the learning rate is too small to change a number"
    );
  }
}

const sumOf = (values: Float32Array): number =>
  crc32(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
