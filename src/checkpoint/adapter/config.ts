/** adapter_config.json as PEFT writes it: what is read of it, what is refused, and how ours is written. */
import { z } from "zod";
import { CheckpointError } from "../../errors.ts";
import { hasMoe, type Lora, loraLayers, type ModelConfig } from "../../model/index.ts";
import { validate } from "../../validate.ts";
import { quoted } from "../header.ts";

/** Wider ones are no adapters any more, and none is known. */
export const RANK_MAX = 1024;

const name = z.string().min(1).max(1000);
const schema = z.looseObject({
  peft_type: z.string(),
  r: z.number().int().min(1).max(RANK_MAX),
  lora_alpha: z.number(),
  lora_dropout: z.number().min(0).lt(1).optional(),
  use_rslora: z.boolean().nullish(),
  target_modules: z.union([name, z.array(name).max(100_000)]).nullish(),
  target_parameters: z.array(name).max(100_000).nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
  base_model_name_or_path: z.string().nullish(),
});

/** Fields that say nothing about what is computed, or only which layers have an adapter, which the tensors say themselves. */
const SILENT = new Set([
  "task_type",
  "auto_mapping",
  "peft_version",
  "revision",
  "inference_mode",
  "megatron_core",
  "qalora_group_size",
  "layers_to_transform",
  "layers_pattern",
  "exclude_modules",
  "runtime_config",
]);
const READ = new Set(Object.keys(schema.shape));

/** First values of A and B that leave the model's weights as they are; the others (pissa, olora, corda, loftq) belong to weights that were changed. */
const INITIAL = new Set<unknown>([true, false, null, undefined, "gaussian", "eva", "orthogonal"]);

export interface PeftConfig {
  rank: number;
  alpha: number;
  rslora: boolean;
  dropout: number;
  /** As PEFT's list has them; undefined where an expression says it, which is not run: the folder is a stranger's. */
  targets?: string[];
  /** Not all layers of those names have one. */
  some: boolean;
}

const isNothing = (value: unknown): boolean =>
  value === null ||
  value === false ||
  value === "none" ||
  (typeof value === "object" && Object.keys(value as object).length === 0);

/** Reads the fields that count. Throws CheckpointError naming the first that is not supported, and what is. */
export function parsePeft(json: Record<string, unknown>, where: string): PeftConfig {
  const supported = "LoRA on linear layers, plain or rslora, is";
  if (json.peft_type !== "LORA")
    throw new CheckpointError(`${where}: peft_type: ${quoted(json.peft_type)} is not supported; ${supported} ("LORA")`);
  for (const [field, value] of Object.entries(json))
    if (!READ.has(field) && !SILENT.has(field) && !isNothing(value))
      throw new CheckpointError(`${where}: ${quoted(field)}: ${quoted(value)} is not supported; ${supported}`);
  const config = validate(schema, json, where, (message) => new CheckpointError(message));
  if (!INITIAL.has(config.init_lora_weights))
    throw new CheckpointError(
      `${where}: init_lora_weights: ${quoted(config.init_lora_weights)} is not supported: such an adapter belongs to weights that it changed itself. Convert it with PEFT (path_initial_model_for_weight_conversion)`,
    );
  const parameters = config.target_parameters ?? [];
  const other = parameters.find((parameter) => !parameter.endsWith("_proj.weight"));
  if (other !== undefined)
    throw new CheckpointError(
      `${where}: target_parameters: ${quoted(other)} is not supported: routed experts get no adapters; ${supported}`,
    );
  const { target_modules: modules } = config;
  return {
    rank: config.r,
    alpha: config.lora_alpha,
    rslora: config.use_rslora ?? false,
    dropout: config.lora_dropout ?? 0,
    some: !isNothing(json.layers_to_transform ?? null) || !isNothing(json.exclude_modules ?? null),
    ...(typeof modules === "string"
      ? {}
      : { targets: [...(modules ?? []), ...parameters.map((parameter) => parameter.replace(/\.weight$/, ""))] }),
  };
}

/**
 * What PEFT is told of adapters. In models with routed experts PEFT 0.21 takes every target called gate_proj, up_proj or down_proj for the experts';
 * the weights of dense and shared layers of those names are its `target_parameters` there.
 */
export function peftOf(config: ModelConfig, lora: Lora, base: string): Record<string, unknown> {
  const layers = [...loraLayers(config, lora.targets).keys()];
  const ofExperts = (layer: string) => hasMoe(config) && /\.(?:gate|up|down)_proj$/.test(layer);
  const parameters = layers.filter(ofExperts).map((layer) => `${layer}.weight`);
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: lora.rank,
    lora_alpha: lora.alpha,
    lora_dropout: 0,
    use_rslora: lora.rslora ?? false,
    use_dora: false,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
    modules_to_save: null,
    target_modules: shortNames(
      config,
      layers.filter((layer) => !ofExperts(layer)),
    ),
    ...(parameters.length > 0 ? { target_parameters: parameters } : {}),
  };
}

/** Layers' last names where all of that name are meant, else the layers themselves. */
export function shortNames(config: ModelConfig, layers: readonly string[]): string[] {
  const names = [...new Set(layers.map((layer) => layer.slice(layer.lastIndexOf(".") + 1)))].sort();
  return loraLayers(config, names).size === layers.length ? names : [...layers];
}
