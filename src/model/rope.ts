/** Rotary position embeddings: frequencies with their scalings, tables of cos and sin. */
import { headDims, isLatent, type ModelConfig } from "./config.ts";

/** Angle per position of each pair of rope dims, and what cos and sin are multiplied by. */
export interface RopeFrequencies {
  /** R/2 angles in radians per position, as f32 like the reference implementations keep them. */
  inverse: Float32Array;
  attentionFactor: number;
}

const yarnScale = (factor: number, weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);

const f32 = Math.fround;

/**
 * Angles of a model's positions: plain, linear, llama3 (Llama 3.1's frequency bands) or YaRN (arXiv:2309.00071 §3). Every step is rounded
 * to f32 in transformers' order, since at position 30,000 a difference in the last bit turns a pair by a thousandth of a radian.
 */
export function ropeFrequencies(config: ModelConfig): RopeFrequencies {
  const rope = config.rope_parameters;
  const dim = headDims(config).rope;
  const theta = f32(rope.rope_theta);
  const periods = Array.from({ length: dim / 2 }, (_, i) => f32(theta ** f32((2 * i) / dim)));
  const plain = periods.map((period) => f32(1 / period));
  const done = (values: number[], attentionFactor = 1) => ({ inverse: Float32Array.from(values), attentionFactor });
  switch (rope.rope_type) {
    case "default":
      return done(plain);
    case "linear":
      return done(plain.map((f) => f / f32(rope.factor)));
    case "llama3": {
      const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = rope;
      return done(
        plain.map((f) => {
          const wave = f32(f32(2 * Math.PI) / f);
          if (wave > f32(original / low)) return f / f32(factor);
          if (wave < f32(original / high)) return f;
          const kept = f32(f32(f32(original / wave) - f32(low)) / f32(high - low));
          return f32(f32(f32(1 - kept) * f) / f32(factor)) + f32(kept * f);
        }),
      );
    }
    case "yarn": {
      const dimOfTurns = (turns: number) =>
        (dim * Math.log(rope.original_max_position_embeddings / (turns * 2 * Math.PI))) /
        (2 * Math.log(rope.rope_theta));
      const [first, last] = [dimOfTurns(rope.beta_fast), dimOfTurns(rope.beta_slow)];
      const low = Math.max(rope.truncate ? Math.floor(first) : first, 0);
      let high = Math.min(rope.truncate ? Math.ceil(last) : last, dim - 1);
      if (high === low) high += 0.001;
      const values = periods.map((period, i) => {
        const slowed = f32(1 / f32(f32(rope.factor) * period));
        const kept = f32(1 - Math.min(Math.max(f32(f32(i - f32(low)) / f32(high - low)), 0), 1));
        return f32(slowed * f32(1 - kept)) + f32(f32(1 / period) * kept);
      });
      return done(values, rope.attention_factor ?? yarnAttentionFactor(config));
    }
  }
}

function yarnAttentionFactor({ rope_parameters: { factor, mscale, mscale_all_dim } }: ModelConfig): number {
  if (mscale !== null && mscale_all_dim !== null) return yarnScale(factor, mscale) / yarnScale(factor, mscale_all_dim);
  return yarnScale(factor, 1);
}

/**
 * What attention scores are multiplied by: query dim ^ -0.5, and in DeepSeek's models with a stretched context times
 * (0.1 · mscale_all_dim · ln factor + 1)².
 */
export function softmaxScale(config: ModelConfig): number {
  const { rope_type, factor, mscale_all_dim } = config.rope_parameters;
  const scale = headDims(config).query ** -0.5;
  const stretched = isLatent(config) && rope_type !== "default" && mscale_all_dim !== null;
  return stretched ? scale * yarnScale(factor, mscale_all_dim) ** 2 : scale;
}

/** cos and sin of positions, each [positions, R/2] row-major. */
export function ropeTable(config: ModelConfig, positions: ArrayLike<number>): { cos: Float32Array; sin: Float32Array } {
  const { inverse, attentionFactor } = ropeFrequencies(config);
  const half = inverse.length;
  const cos = new Float32Array(positions.length * half);
  const sin = new Float32Array(positions.length * half);
  for (let t = 0; t < positions.length; t++)
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(positions[t]! * inverse[i]!);
      cos[t * half + i] = Math.cos(angle) * attentionFactor;
      sin[t * half + i] = Math.sin(angle) * attentionFactor;
    }
  return { cos, sin };
}

/** Positions start, start+1, …: what a contiguous run of tokens feeds to `ropeTable`. */
export const positionsFrom = (start: number, length: number): number[] => Array.from({ length }, (_, i) => start + i);

/** Whether rope pairs are neighbours (0,1),(2,3),… as DeepSeek stores them, or halves (i, i + R/2). */
export const ropeInterleaved = (config: ModelConfig): boolean =>
  config.model_type === "deepseek_v2" || ("rope_interleave" in config && config.rope_interleave);
