// Models of a published shape with random weights in memory: for speed, which does not depend on what the weights are.
import { randomFillSync } from "node:crypto";
import {
  blocksOf,
  codeBytes,
  EMBEDDING,
  emptyBlocks,
  listParameters,
  type ModelConfig,
  parseConfig,
  presetConfig,
  tensorForm,
  type Weight,
  type WeightsForm,
} from "../src/model/index.ts";
import { f32, sizeOf } from "../src/tensor/index.ts";

/** Names that --shape takes. `experts`: fewer to choose from than the preset has, as many chosen: the same work for a token in less memory. */
export const SHAPES = {
  "qwen2-1.5b": { preset: "qwen2.5-1.5b", experts: undefined },
  "v2-lite": { preset: "deepseek-v2-lite", experts: undefined },
  "v2-lite-16": { preset: "deepseek-v2-lite", experts: 16 },
} as const;
export type Shape = keyof typeof SHAPES;

/** The config of a shape, with fewer layers if asked; contexts up to 4,096. */
export function shapeConfig(shape: Shape, layers?: number): ModelConfig {
  const { preset, experts } = SHAPES[shape];
  return parseConfig({
    ...presetConfig(preset),
    max_position_embeddings: 4096,
    ...(layers ? { num_hidden_layers: layers } : {}),
    ...(experts ? { n_routed_experts: experts } : {}),
  });
}

/** Random weights of about the size that trained ones have, distinct in every tensor: the runtime stores equal ones once. */
export function randomWeights(config: ModelConfig, form: WeightsForm): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  for (const { key, shape, part } of listParameters(config)) {
    if (part === "MTP") continue;
    const as = tensorForm(form, key, shape);
    const deviation = 1 / Math.sqrt(shape[1] ?? 1);
    if (as === 4 || as === 8) {
      const weight = emptyBlocks(shape, as);
      fillRandom(weight.codes);
      // codes spread over 2^bits values, whose deviation is 2^bits / √12
      weight.scales.fill((deviation * Math.sqrt(12)) / 2 ** as);
      weights.set(key, weight);
    } else if (/norm/.test(key)) weights.set(key, f32(shape, new Float32Array(sizeOf(shape)).fill(1)));
    else {
      const bits = new Uint32Array(sizeOf(shape));
      fillRandom(new Uint8Array(bits.buffer));
      const data = new Float32Array(bits.buffer);
      for (let i = 0; i < data.length; i++) data[i] = (bits[i]! / 2 ** 32 - 0.5) * 3 * deviation;
      weights.set(key, f32(shape, data));
    }
  }
  return weights;
}

function fillRandom(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += 2 ** 28) randomFillSync(bytes, at, Math.min(2 ** 28, bytes.length - at));
}

/** Bytes of weights that a token reads: all matrices once, of routed experts those that it goes through, of the embedding nothing but for a tied head. */
export function bytesPerToken(config: ModelConfig, weights: ReadonlyMap<string, Weight>): number {
  let bytes = 0;
  for (const [key, weight] of weights) {
    if (key === EMBEDDING && !config.tie_word_embeddings) continue;
    const { n_routed_experts: all = 1, num_experts_per_tok: used = 1 } = config as {
      n_routed_experts?: number;
      num_experts_per_tok?: number;
    };
    const share = /\.experts\.\d+\./.test(key) ? used / all : 1;
    bytes +=
      share *
      (weight.dtype === "blocks"
        ? weight.shape[0] * blocksOf(weight) * (codeBytes(weight) + 4)
        : weight.data.byteLength);
  }
  return bytes;
}
