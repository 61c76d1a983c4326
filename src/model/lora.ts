/** Low-rank adapters: which linear layers have one, under what names, of what shapes. */
import { ConfigError } from "../errors.ts";
import type { Tensor } from "../tensor/index.ts";
import type { ModelConfig } from "./config.ts";
import { listParameters } from "./parameters.ts";

/** What adapters of a model are like: W + scale · B·A in the place of W. arXiv:2106.09685. */
export interface Lora {
  /** Inner width r of A [r, in] and B [out, r]. */
  rank: number;
  alpha: number;
  /** Names of linear layers, whole or their ends between dots, as PEFT takes them: `q_proj`, `self_attn.o_proj`. Empty: all that can have one. */
  targets: readonly string[];
  /** scale = alpha / √rank instead of alpha / rank (arXiv:2312.03732). */
  rslora?: boolean;
}

/** An adapter's tensors of one layer in a graph: A [r, in], B [out, r]. */
export interface LowRank {
  a: Tensor;
  b: Tensor;
  scale: number;
}

export const loraScale = ({ rank, alpha, rslora }: Pick<Lora, "rank" | "alpha" | "rslora">): number =>
  alpha / (rslora ? Math.sqrt(rank) : rank);

/** Names of a layer's two tensors: those that PEFT gives them, without its prefix. */
export const loraKeys = (layer: string): { a: string; b: string } => ({
  a: `${layer}.lora_A.weight`,
  b: `${layer}.lora_B.weight`,
});

const ROUTED = /\.mlp\.experts\.\d+\./;

/** Why a layer of that name gets no adapter; undefined where it may have one. */
function refusal(layer: string): string | undefined {
  if (ROUTED.test(layer)) return "routed experts get no adapters";
  if (layer.endsWith(".mlp.gate")) return "the router gets no adapter";
  return undefined;
}

/** Linear layers of a model with their shapes [out, in]: attention, dense and shared feed-forward; routed experts and routers apart. */
function* linearLayers(config: ModelConfig): Generator<[layer: string, shape: [number, number]]> {
  for (const { key, shape, part, buffer } of listParameters(config)) {
    if (shape.length !== 2 || buffer || part === "MTP" || part === "embedding" || part === "head") continue;
    yield [key.replace(/\.weight$/, ""), [shape[0]!, shape[1]!]];
  }
}

/** Whether a target means a layer: it is its name, or the end of it between dots. */
export const isNamed = (layer: string, target: string): boolean => layer === target || layer.endsWith(`.${target}`);

/**
 * The layers that get adapters, with their shapes [out, in]. Without targets: every linear layer but routed experts, routers, head and MTP modules.
 * Throws ConfigError for a target that no layer has, or that means layers which get none.
 */
export function loraLayers(config: ModelConfig, targets: readonly string[]): Map<string, [number, number]> {
  const all = [...linearLayers(config)];
  const able = all.filter(([layer]) => refusal(layer) === undefined);
  if (targets.length === 0) return new Map(able);
  for (const target of targets) {
    if (able.some(([layer]) => isNamed(layer, target))) continue;
    const other = all.find(([layer]) => isNamed(layer, target));
    const names = [...new Set(able.map(([layer]) => layer.slice(layer.lastIndexOf(".") + 1)))].join(", ");
    throw new ConfigError(
      `lora.targets: ${JSON.stringify(target).slice(0, 200)}: ${(other && refusal(other[0])) ?? `no linear layer of this ${config.model_type} is called that`}; expected some of ${names}`,
    );
  }
  return new Map(able.filter(([layer]) => targets.some((target) => isNamed(layer, target))));
}

/** Every tensor of the adapters with its shape. */
export function loraShapes(config: ModelConfig, { rank, targets }: Lora): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const [layer, [out, into]] of loraLayers(config, targets)) {
    const { a, b } = loraKeys(layer);
    shapes.set(a, [rank, into]);
    shapes.set(b, [out, rank]);
  }
  return shapes;
}
