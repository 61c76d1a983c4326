/** transformers 5's `rope_parameters`: how position angles are made. */
export interface RopeParameters {
  rope_type: "default" | "linear" | "llama3" | "yarn";
  rope_theta: number;
  /** linear, llama3, yarn: how many times longer the context became. */
  factor: number;
  original_max_position_embeddings: number;
  /** llama3: bounds between kept, mixed and slowed frequencies. */
  low_freq_factor: number;
  high_freq_factor: number;
  /** yarn (arXiv:2309.00071). `attention_factor` multiplies cos and sin; null: derived from mscale and mscale_all_dim. */
  beta_fast: number;
  beta_slow: number;
  mscale: number | null;
  mscale_all_dim: number | null;
  attention_factor: number | null;
  truncate: boolean;
}

type Fault = (field: string, expected: string, came: unknown) => void;

const TYPES = ["default", "linear", "llama3", "yarn"] as const;

/** Reads `rope_parameters`, or the older `rope_theta` and `rope_scaling` (with `type` or `rope_type`). */
export function parseRope(raw: Record<string, unknown>, fault: Fault): RopeParameters {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const field = raw.rope_parameters != null ? "rope_parameters" : "rope_scaling";
  const given = raw[field] ?? {};
  if (!isObject(given)) fault(field, "an object", given);
  const scaling = isObject(given) ? given : {};
  const name = scaling.rope_type ?? scaling.type ?? "default";
  const rope_type = TYPES.find((type) => type === name) ?? "default";
  if (rope_type !== name) fault(`${field}.rope_type`, `one of ${TYPES.join(", ")}`, name);

  function number(key: string, fallback: number, required?: boolean): number;
  function number(key: string, fallback: null): number | null;
  function number(key: string, fallback: number | null, required = false): number | null {
    const value = scaling[key] ?? (key === "rope_theta" ? raw.rope_theta : undefined);
    if (value == null && !required) return fallback;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    // mscale 0 means "absent" in DeepSeek's and transformers' code
    if (value === 0 && key.startsWith("mscale")) return null;
    fault(key === "rope_theta" ? key : `${field}.${key}`, "a positive number", value);
    return fallback;
  }
  const maxPositions = typeof raw.max_position_embeddings === "number" ? raw.max_position_embeddings : 2048;
  const scaled = rope_type !== "default";
  return {
    rope_type,
    rope_theta: number("rope_theta", 10000),
    factor: number("factor", 1, scaled),
    original_max_position_embeddings: number("original_max_position_embeddings", maxPositions, rope_type === "llama3"),
    low_freq_factor: number("low_freq_factor", 1, rope_type === "llama3"),
    high_freq_factor: number("high_freq_factor", 4, rope_type === "llama3"),
    beta_fast: number("beta_fast", 32),
    beta_slow: number("beta_slow", 1),
    mscale: number("mscale", null),
    mscale_all_dim: number("mscale_all_dim", null),
    attention_factor: number("attention_factor", null),
    truncate: scaling.truncate !== false,
  };
}
