/** config.json's rope_parameters, in the forms of transformers 4 and 5, checked. */
import { isRecord } from "../json.ts";

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

/** Notes a fault of one field: what was expected, and what came. */
export type Fault = (field: string, expected: string, came: unknown) => void;

const TYPES = ["default", "linear", "llama3", "yarn"] as const;
const THETA = 10_000;

/** What Python calls false: transformers takes such a rope_scaling for none. */
const isEmpty = (value: unknown): boolean =>
  value == null ||
  value === false ||
  value === 0 ||
  value === "" ||
  (typeof value === "object" && Object.keys(value).length === 0);

/**
 * Reads `rope_parameters`, or `rope_scaling` with `rope_theta` beside it, as transformers 5.23 does (modeling_rope_utils.py): a
 * rope_scaling that says anything replaces rope_parameters, and original_max_position_embeddings beside them wins over theirs.
 * `maxPositions` is max_position_embeddings. What would compute something else is a fault: angles by layer type, part of a head.
 */
export function parseRope(raw: Record<string, unknown>, maxPositions: number, fault: Fault): RopeParameters {
  const field = isEmpty(raw.rope_scaling) ? "rope_parameters" : "rope_scaling";
  const given = raw[field] ?? {};
  if (!isRecord(given)) fault(field, "an object", given);
  const scaling = isRecord(given) ? given : {};
  refuseParts(raw, field, scaling, fault);
  const name = scaling.rope_type ?? scaling.type ?? "default";
  const rope_type = TYPES.find((type) => type === name) ?? "default";
  if (rope_type !== name) fault(`${field}.rope_type`, `one of ${TYPES.join(", ")}`, name);

  function number(key: string, fallback: number, required?: boolean): number;
  function number(key: string, fallback: null): number | null;
  function number(key: string, fallback: number | null, required = false): number | null {
    const value = scaling[key];
    if (value == null && !required) return fallback;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    // mscale 0 means "absent" in DeepSeek's and transformers' code
    if (value === 0 && key.startsWith("mscale")) return null;
    fault(`${field}.${key}`, "a positive number", value);
    return fallback;
  }
  const stretched = rope_type === "llama3" || rope_type === "yarn";
  const beside = stretched ? raw.original_max_position_embeddings : undefined;
  if (beside != null && !(Number.isSafeInteger(beside) && (beside as number) > 0))
    fault("original_max_position_embeddings", "a positive whole number", beside);
  const parameters: RopeParameters = {
    rope_type,
    rope_theta: thetaOf(raw, field, scaling, fault),
    factor: number("factor", 1, rope_type !== "default"),
    original_max_position_embeddings:
      beside != null ? (beside as number) : number("original_max_position_embeddings", maxPositions),
    low_freq_factor: number("low_freq_factor", 1, rope_type === "llama3"),
    high_freq_factor: number("high_freq_factor", 4, rope_type === "llama3"),
    beta_fast: number("beta_fast", 32),
    beta_slow: number("beta_slow", 1),
    mscale: number("mscale", null),
    mscale_all_dim: number("mscale_all_dim", null),
    attention_factor: number("attention_factor", null),
    truncate: scaling.truncate !== false,
  };
  if (scaling.truncate !== undefined && typeof scaling.truncate !== "boolean")
    fault(`${field}.truncate`, "true or false", scaling.truncate);
  if (rope_type === "llama3" && parameters.high_freq_factor <= parameters.low_freq_factor)
    fault(
      `${field}.high_freq_factor`,
      `more than low_freq_factor ${parameters.low_freq_factor}`,
      parameters.high_freq_factor,
    );
  if (rope_type === "yarn" && parameters.rope_theta === 1)
    fault("rope_theta", "a number other than 1: YaRN divides by its logarithm", 1);
  return parameters;
}

/** Angles that differ between layers, or turn a part of each head only. */
function refuseParts(
  raw: Record<string, unknown>,
  field: string,
  scaling: Record<string, unknown>,
  fault: Fault,
): void {
  for (const [key, value] of Object.entries(scaling))
    if (isRecord(value) || key.endsWith("_attention"))
      fault(`${field}.${key}`, "one set of parameters for all layers", value);
  const partial = {
    partial_rotary_factor: raw.partial_rotary_factor,
    [`${field}.partial_rotary_factor`]: scaling.partial_rotary_factor,
  };
  for (const [key, value] of Object.entries(partial))
    if (value != null && value !== 1) fault(key, "1: heads that are turned in part are not built", value);
}

function thetaOf(raw: Record<string, unknown>, field: string, scaling: Record<string, unknown>, fault: Fault): number {
  const theta = scaling.rope_theta ?? raw.rope_theta;
  if (theta == null) {
    const lost = field === "rope_scaling" && isRecord(raw.rope_parameters) ? raw.rope_parameters.rope_theta : undefined;
    if (lost != null && lost !== THETA)
      fault(
        "rope_scaling.rope_theta",
        `a number, since rope_scaling replaces rope_parameters and its rope_theta ${String(lost)}`,
        undefined,
      );
    return THETA;
  }
  if (typeof theta === "number" && Number.isFinite(theta) && theta > 0) return theta;
  fault("rope_theta", "a positive number", theta);
  return THETA;
}
