/** Position angles: llama.cpp's metadata and `rope_freqs.weight` as config.json's rope_theta and rope_scaling. */
import { type Fields, shortest } from "./fields.ts";

export interface GgufRope {
  theta: number;
  scaling?: Record<string, unknown>;
}

const THETA = 10_000;

/** Throws CheckpointError for angles that are not built: other scalings, factors that no rule of Llama 3 gives. */
export function ropeOf(fields: Fields, factors: Float32Array | undefined, positions: number): GgufRope {
  const theta = shortest(fields.number("rope.freq_base") ?? THETA);
  const linear = fields.number("rope.scale_linear");
  const factor = fields.number("rope.scaling.factor") ?? linear ?? 1;
  const type = fields.get("rope.scaling.type") ?? (factor === 1 || factor === 0 ? "none" : "linear");
  const original = fields.count("rope.scaling.original_context_length");
  const logMultiplier = fields.number("rope.scaling.yarn_log_multiplier");
  const betas = ["beta_fast", "beta_slow"].map((name) => [name, fields.number(`rope.scaling.yarn_${name}`)] as const);
  fields.only("rope.scaling.attn_factor", [1], "other factors of attention are not built");
  fields.only("rope.scaling.yarn_attn_factor", [1], "other factors of attention are not built");
  fields.only("rope.scaling.yarn_ext_factor", [1], "other mixes of frequencies are not built");
  fields.flag("rope.scaling.finetuned");
  if (factors !== undefined) {
    if (type !== "none") throw fields.fail("rope.scaling.type", '"none" beside rope_freqs.weight', type);
    return { theta, scaling: llama3Of(fields, factors, theta) };
  }
  if (type === "none") return { theta };
  if (type === "linear") return { theta, scaling: { rope_type: "linear", factor: shortest(factor) } };
  if (type !== "yarn") throw fields.fail("rope.scaling.type", '"none", "linear" or "yarn"', type);
  const scaling: Record<string, unknown> = {
    rope_type: "yarn",
    factor: shortest(factor),
    original_max_position_embeddings: original ?? positions,
  };
  for (const [name, value] of betas) if (value !== undefined) scaling[name] = shortest(value);
  // the converter writes a tenth of mscale_all_dim; DeepSeek's models have the same mscale
  if (logMultiplier !== undefined && fields.architecture === "deepseek2")
    scaling.mscale = scaling.mscale_all_dim = Number((logMultiplier * 10).toPrecision(6));
  else if (logMultiplier !== undefined && logMultiplier !== 0)
    throw fields.fail("rope.scaling.yarn_log_multiplier", "nothing, but for deepseek2", logMultiplier);
  return { theta, scaling };
}

/** How much slower than plain each pair turns by Llama 3.1's rule, as the converter computes it: f32 [R/2]. */
export function llama3Factors(theta: number, dim: number, rule: Llama3Rule): Float32Array {
  const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = rule;
  return Float32Array.from({ length: dim / 2 }, (_, i) => {
    const wave = 2 * Math.PI * Math.fround(theta ** Math.fround((2 * i) / dim));
    if (wave < original / high) return 1;
    if (wave > original / low) return factor;
    const smooth = (original / wave - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

export interface Llama3Rule {
  factor: number;
  low_freq_factor: number;
  high_freq_factor: number;
  original_max_position_embeddings: number;
}

/** f32 and the order of steps make factors differ by some of the last bits. */
const CLOSE = 1e-4;

/** The file has the rule's results alone: every published model's rule has bounds of 1 and 4 and a power of two as context. */
function llama3Of(fields: Fields, factors: Float32Array, theta: number): Record<string, unknown> {
  const factor = Math.max(...factors);
  for (let original = 1; original <= 2 ** 22; original *= 2) {
    const rule = { factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: original };
    const expected = llama3Factors(theta, 2 * factors.length, rule);
    if (factors.every((value, i) => Math.abs(value / expected[i]! - 1) < CLOSE))
      return { rope_type: "llama3", ...rule };
  }
  throw fields.fail(
    "rope_freqs.weight",
    "the factors of Llama 3.1's rule with bounds 1 and 4 and a context of a power of two: others are not built",
    "others",
  );
}
