/** Whether a stage fits into the machine's memory. */
import { ConfigError } from "../errors.ts";
import { bytes } from "../format.ts";
import { formBytes, type Lora, loraShapes, type ModelConfig, parameterKinds } from "../model/index.ts";
import { sizeOf } from "../tensor/index.ts";
import { activationBytes, BASE_BYTES, type BatchShape, type Objective, type ParameterStore } from "../train/index.ts";

/** Bytes of what a stage trains: values, gradients of each lane and two moments; adapters stand beside the model's values. */
export function weightBytes(config: ModelConfig, lanes: number, lora?: Lora): number {
  const own = parameterKinds(config).reduce(
    (n, { shape, count, sameAs }) => n + (sameAs ? 0 : count * sizeOf(shape)),
    0,
  );
  const each = 12 + 4 * lanes;
  if (lora === undefined) return each * own;
  return 4 * own + each * [...loraShapes(config, lora).values()].reduce((n, shape) => n + sizeOf(shape), 0);
}

/** Refuses weights that memory has no room for, before they are read. Throws ConfigError. */
export function checkWeights(config: ModelConfig, lanes: number, lora?: Lora): void {
  const [wanted, free] = [weightBytes(config, lanes, lora), process.availableMemory()];
  if (wanted <= free) return;
  throw new ConfigError(
    `reason: expected ${bytes(wanted)} of memory for the weights and what trains them, but ${bytes(free)} are free. ` +
      (lora
        ? "Try a smaller model"
        : "Try --set lora.rank=8, which trains adapters beside the weights, or a smaller model"),
  );
}

/** Refuses micro-batches whose values memory has no room for, before their graph is compiled; the weights may have been read. Throws ConfigError. */
export function checkStep(shape: BatchShape, objective: Objective, store: ParameterStore): void {
  const { lora } = store;
  const weights = weightBytes(shape.config, shape.lanes, lora);
  const trains = (key: string) => store.trains(key);
  const values = activationBytes(shape, objective, { precision: "f32", accumulate: true, lora, trains });
  const room = process.availableMemory() + process.memoryUsage().rss;
  if (weights + values + BASE_BYTES <= room) return;
  const { microBatch, lanes } = shape;
  const fewer = lanes * Math.max(1, Math.floor(microBatch / lanes / 2));
  throw new ConfigError(
    `reason: expected about ${bytes(weights + values + BASE_BYTES)} of memory (weights with gradients and moments ${bytes(weights)}, values of ${microBatch} sequences of ${shape.sequence} tokens ${bytes(values)}), but there are ${bytes(room)}. ` +
      (fewer < microBatch
        ? `Try --set microBatch=${fewer}, or shorter sequences`
        : "Try shorter sequences or a smaller model"),
  );
}

/** Refuses a model that is only read, in f32, where memory has no room for it. Throws ConfigError. */
export function checkReading(dir: string, config: ModelConfig): void {
  const [wanted, free] = [formBytes(config, "f32"), process.availableMemory()];
  if (wanted > free)
    throw new ConfigError(
      `${dir}: expected ${bytes(wanted)} of memory for its weights in f32, but ${bytes(free)} are free. Try a smaller one`,
    );
}
