/** Any config.json as the planner sees it: architectures that run here, and families of which only the sizes are known. */
import { ConfigError, FaultsError } from "../../errors.ts";
import { briefJson } from "../../json.ts";
import { MODEL_TYPE_ALIASES, MODEL_TYPES, type ParseOptions, parseConfig } from "../../model/config.ts";
import { type Architecture, architectureOf, parameterCount } from "../architecture.ts";
import { nearest } from "../nearest.ts";
import type { Family } from "./build.ts";
import { DENSE } from "./dense.ts";
import { GPTS } from "./gpt.ts";
import { MIXTURES } from "./mixtures.ts";
import { OWN } from "./own.ts";
import { Sizes } from "./sizes.ts";

const FAMILIES: Readonly<Record<string, Family>> = { ...DENSE, ...MIXTURES, ...GPTS, ...OWN };

/** Names by which files call the same architecture. */
const SAME: Readonly<Record<string, string>> = {
  llama4: "llama4_text",
  gemma3: "gemma3_text",
  qwen3_5: "qwen3_5_text",
  qwen3_5_moe: "qwen3_5_moe_text",
};

/** Architectures that run here, whose whole config.json is read. */
const RUN_HERE: readonly string[] = [...MODEL_TYPES, ...MODEL_TYPE_ALIASES];

/** What a config.json may be called for the planner. */
export const PLANNED_TYPES: readonly string[] = [
  ...new Set([...RUN_HERE, ...Object.keys(FAMILIES), ...Object.keys(SAME)]),
].sort();

/**
 * The planner's view of a config.json. A model that sees as well as reads is planned by its `text_config`, and says so. An absent field has
 * transformers 5's value, but layers and width must be stated. Throws ConfigError listing every fault; of an unknown architecture, with the
 * nearest known one and the published model nearest in size.
 */
export function plannedArchitecture(
  json: unknown,
  { where = "config.json", name, sizes }: ParseOptions & { where?: string; name?: string } = {},
): Architecture {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ConfigError(`${where}: expected an object, got ${briefJson(json)}`);
  const raw = json as Record<string, unknown>;
  const text = raw.text_config;
  if (typeof text === "object" && text !== null && !Array.isArray(text)) {
    const inner = { model_type: raw.model_type, ...pickShared(raw), ...(text as Record<string, unknown>) };
    const whole = plannedArchitecture(inner, {
      where: `${where}: text_config`,
      name: name ?? String(raw.model_type),
      sizes,
    });
    return { ...whole, without: "what is not text: its vision or audio parts" };
  }
  const type = typeof raw.model_type === "string" ? (SAME[raw.model_type] ?? raw.model_type) : "";
  if (Object.hasOwn(FAMILIES, type)) return familyOf(raw, type, where, name ?? type);
  if (RUN_HERE.includes(type)) {
    const config = parseConfig(raw, where, { sizes });
    return architectureOf(config, name ?? config.model_type);
  }
  throw new FaultsError(where, [
    `model_type: expected one of ${PLANNED_TYPES.join(", ")}, got ${briefJson(raw.model_type)}${nearestTo(raw, type)}`,
  ]);
}

/** What files say beside `text_config` of both parts. */
const pickShared = ({ tie_word_embeddings }: Record<string, unknown>) =>
  tie_word_embeddings === undefined ? {} : { tie_word_embeddings };

const STATED = [
  ["hidden_size", "n_embd", "n_embed"],
  ["num_hidden_layers", "n_layer"],
] as const;

function familyOf(raw: Record<string, unknown>, type: string, where: string, name: string): Architecture {
  const { defaults, build } = FAMILIES[type]!;
  const sizes = new Sizes(raw, defaults);
  for (const names of STATED)
    if (!names.some((field) => sizes.has(field))) sizes.fault(names[0], "a positive whole number");
  const architecture = { name, ...build(sizes) };
  if (sizes.faults.length > 0) throw new FaultsError(where, sizes.faults);
  for (const { attention, ffn } of architecture.layers) {
    if (attention.kind === "gqa" && attention.heads % attention.kvHeads !== 0)
      throw new FaultsError(where, [
        `num_key_value_heads: expected a divisor of the ${attention.heads} heads, got ${attention.kvHeads}`,
      ]);
    if (ffn.kind === "moe" && ffn.perToken > ffn.experts)
      throw new FaultsError(where, [
        `num_experts_per_tok: expected at most the ${ffn.experts} experts, got ${ffn.perToken}`,
      ]);
  }
  return architecture;
}

/** For an unknown architecture: the name most like it, and, where its sizes are a Llama's, what asking as one would give. */
function nearestTo(raw: Record<string, unknown>, type: string): string {
  const like = type === "" ? undefined : nearest(type, PLANNED_TYPES)[0];
  const named = like === undefined ? "" : `; the nearest name is ${like}`;
  const sized = ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"];
  const as = "n_routed_experts" in raw ? "glm4_moe" : "num_local_experts" in raw ? "mixtral" : "mistral";
  if (!sized.every((field) => field in raw)) return named;
  try {
    const { total } = parameterCount(plannedArchitecture({ ...raw, model_type: as }));
    return `${named}; with "model_type": "${as}" the same sizes can be asked as ${(total / 1e9).toPrecision(3)}B parameters`;
  } catch {
    // Its sizes are not that family's.
    return named;
  }
}
