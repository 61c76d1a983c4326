/** Which layers of a model are mixtures of experts, and what their routers do: the same questions for every architecture. */
import type { ModelConfig } from "./configTypes.ts";

/** A mixture layer's sizes and how it chooses. */
export interface Mixture {
  /** Routed experts E, of which a token goes through K = `perToken`, each of width M. No experts: every layer is dense. */
  experts: number;
  perToken: number;
  width: number;
  /** Shared experts, run as one of shared · width. */
  shared: number;
  scores: "sigmoid" | "softmax";
  /** The choice is by score + e_score_correction_bias. */
  corrected: boolean;
  /** Weights of the chosen add up to `scaling`; else they are their scores times it. */
  normalized: boolean;
  scaling: number;
  /** The choice is among the experts of the `kept` groups of `count` whose `best` highest scores sum to most. */
  groups?: { count: number; kept: number; best: 1 | 2 };
}

const DENSE: Mixture = {
  experts: 0,
  perToken: 1,
  width: 0,
  shared: 0,
  scores: "softmax",
  corrected: false,
  normalized: false,
  scaling: 1,
};

/** How the mixture layers of a model choose; `experts` 0 where it has none. */
export function mixtureOf(config: ModelConfig): Mixture {
  if (!("num_experts_per_tok" in config)) return DENSE;
  const perToken = config.num_experts_per_tok;
  const width = config.moe_intermediate_size ?? 0;
  if (config.model_type === "qwen3_moe")
    return { ...DENSE, experts: config.num_experts, perToken, width, normalized: config.norm_topk_prob };
  const { n_routed_experts: experts, n_shared_experts: shared } = config;
  if (config.model_type === "deepseek")
    return { ...DENSE, experts, perToken, width, shared, normalized: config.norm_topk_prob && perToken > 1 };
  const { n_group: count, topk_group: kept, topk_method, scoring_func: scores } = config;
  const corrected = topk_method === "noaux_tc";
  return {
    experts,
    perToken,
    width,
    shared,
    scores,
    corrected,
    normalized: config.norm_topk_prob,
    scaling: config.routed_scaling_factor,
    ...(count > 1 && topk_method !== "greedy" && { groups: { count, kept, best: corrected ? 2 : 1 } }),
  };
}

/** Number of multi-token-prediction modules. */
export const mtpDepth = (config: ModelConfig): number =>
  "num_nextn_predict_layers" in config ? config.num_nextn_predict_layers : 0;

/** Layers with their MTP modules, which count on from num_hidden_layers. */
export const layersWithMtp = (config: ModelConfig): number => config.num_hidden_layers + mtpDepth(config);

/** Whether layer `i`, from 0, has routed experts. */
export function isMoeLayer(config: ModelConfig, i: number): boolean {
  if (!("num_experts_per_tok" in config)) return false;
  if (config.model_type === "qwen3_moe")
    return config.num_experts > 0 && (i + 1) % config.decoder_sparse_step === 0 && !config.mlp_only_layers.includes(i);
  if (config.n_routed_experts === 0) return false;
  const types = "mlp_layer_types" in config ? config.mlp_layer_types : null;
  if (types !== null) return i >= types.length || types[i] === "sparse";
  if (i < config.first_k_dense_replace) return false;
  return config.model_type !== "deepseek" || i % config.moe_layer_freq === 0;
}

/** The numbers of the layers with routed experts, MTP modules last. */
export const moeLayers = (config: ModelConfig): number[] =>
  Array.from({ length: layersWithMtp(config) }, (_, i) => i).filter((i) => isMoeLayer(config, i));

/** How many layers have routed experts, those of MTP modules left out. */
export const routedLayers = (config: ModelConfig): number =>
  moeLayers(config).filter((i) => i < config.num_hidden_layers).length;

/** Whether any layer of the model has routed experts, MTP modules included. */
export const hasMoe = (config: ModelConfig): boolean => moeLayers(config).length > 0;

/** Layers first, first + 1, …, all mixtures or none. */
export interface LayerRun {
  first: number;
  count: number;
  moe: boolean;
}

/** The layers as runs of equal ones, MTP modules left out. */
export function layerRuns(config: ModelConfig): LayerRun[] {
  const runs: LayerRun[] = [];
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const moe = isMoeLayer(config, i);
    const last = runs.at(-1);
    if (last?.moe === moe) last.count++;
    else runs.push({ first: i, count: 1, moe });
  }
  return runs;
}
