/** In which form a model's weights are kept for generation: f32, or blocks of 8 or 4 bits where that costs little. */
import { sizeOf } from "../tensor/index.ts";
import type { ModelConfig } from "./config.ts";
import { mtpDepth } from "./mixture.ts";
import { parameterKinds } from "./parameters.ts";
import { BLOCK } from "./weights.ts";

/** What the past of a sequence is kept in: int8 has a scale for each part of a row. */
export const CACHE_FORMS = ["f32", "int8"] as const;
export type CacheForm = (typeof CACHE_FORMS)[number];

/** From the smallest to the most exact. */
export const WEIGHTS_FORMS = ["q4", "q8", "f32"] as const;
export type WeightsForm = (typeof WEIGHTS_FORMS)[number];

/** f32; bf16 where the file has it (f32 otherwise); blocks of 4 or 8 bits. */
export type TensorForm = "f32" | "bf16" | 4 | 8;

export const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

/** Matrices that decide between experts or tokens: small, and a rounded score may choose another. */
const CHOOSING = /\.mlp\.gate\.weight$|\.indexer\./;

/**
 * The form of one tensor of a model whose weights are kept in `form`: norms, biases and routers are f32 always, embedding and head never less than
 * 8 bits (docs/quantized.md has what 4 would cost).
 */
export function tensorForm(form: WeightsForm, key: string, shape: readonly number[]): TensorForm {
  if (form === "f32") return key === EMBEDDING ? "bf16" : "f32";
  if (shape.length !== 2 || CHOOSING.test(key)) return "f32";
  return form === "q4" && key !== EMBEDDING && key !== HEAD ? 4 : 8;
}

/** Bytes of a model's weights in a form, with so many MTP modules. `perBlock` are bytes of a block beside its codes: its f32 scale. */
export function formBytes(config: ModelConfig, form: WeightsForm, perBlock = 4, modules = 0): number {
  let bytes = 0;
  for (const { key, shape, count: all, part, sameAs } of parameterKinds(config)) {
    if (part === "MTP" && (modules === 0 || sameAs !== undefined)) continue;
    const count = part === "MTP" ? (all * modules) / mtpDepth(config) : all;
    const as = tensorForm(form, key, shape);
    const [rows = 1, columns = 1] = shape;
    const each =
      as === 4 || as === 8
        ? rows * Math.ceil(columns / BLOCK) * (4 * as + perBlock)
        : sizeOf(shape) * (as === "bf16" ? 2 : 4);
    bytes += each * count;
  }
  return bytes;
}
