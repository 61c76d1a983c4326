/** Layers of a planner's architecture put together from what each is made of. */
import type { Architecture, Attention, Ffn } from "../architecture.ts";
import type { Sizes } from "./sizes.ts";

/** A family's reading of a config.json: everything but the name. */
export type Build = (f: Sizes) => Omit<Architecture, "name">;

export interface Family {
  /** transformers 5's values of absent fields. */
  defaults: Record<string, unknown>;
  build: Build;
}

export type Grouped = Extract<Attention, { kind: "gqa" }>;

/** Kinds of layers with how many of each there are; their order is written down only where kinds take turns; what all layers have alike is given as it is. Equal parts are the same object. */
export function layersOf(
  count: number,
  attention: Attention | ((layer: number) => Attention),
  ffn: Ffn | ((layer: number) => Ffn),
): Pick<Architecture, "layers" | "order"> {
  const attentions = new Map<string, Attention>();
  const ffns = new Map<string, Ffn>();
  const same = <T>(known: Map<string, T>, value: T): T => {
    const key = JSON.stringify(value);
    if (!known.has(key)) known.set(key, value);
    return known.get(key)!;
  };
  const at = <T extends object>(part: T | ((layer: number) => T), layer: number): T =>
    typeof part === "function" ? part(layer) : part;
  const layers: Architecture["layers"] = [];
  const order: number[] = [];
  for (let i = 0; i < count; i++) {
    const [a, f] = [same(attentions, at(attention, i)), same(ffns, at(ffn, i))];
    let kind = layers.findIndex((known) => known.attention === a && known.ffn === f);
    if (kind < 0) kind = layers.push({ count: 0, attention: a, ffn: f }) - 1;
    layers[kind]!.count++;
    order.push(kind);
  }
  return order.every((kind, i) => i === 0 || kind >= order[i - 1]!) ? { layers } : { layers, order };
}

/** What is the same in nearly all: RMS norms, rotary positions. */
export const rotary = (f: Sizes) => ({
  hidden: f.size("hidden_size"),
  vocab: f.size("vocab_size"),
  tied: f.flag("tie_word_embeddings"),
  mtpDepth: 0,
  norm: "rms" as const,
  dropout: false,
});

/** Heads as config.json says them; `head_dim` or hidden ÷ heads wide, keys and values on as many heads where none are stated. */
export function heads(f: Sizes): Grouped {
  const heads = f.size("num_attention_heads");
  return {
    kind: "gqa",
    heads,
    kvHeads: f.optional("num_key_value_heads") ?? heads,
    headDim: f.optional("head_dim") ?? Math.floor(f.size("hidden_size") / heads),
    qkvBias: false,
    outBias: false,
    qkNorm: false,
  };
}

export const gated = (width: number, bias = false): Ffn => ({ kind: "dense", width, gated: true, bias });

const TYPES = ["full_attention", "sliding_attention", "chunked_attention", "linear_attention"] as const;

/** Whether each layer has a window: by `layer_types`, else by the family's own pattern. */
export function pattern(
  f: Sizes,
  layers: number,
  otherwise: (layer: number) => (typeof TYPES)[number],
): (typeof TYPES)[number][] {
  return f.perLayer("layer_types", layers, TYPES) ?? Array.from({ length: layers }, (_, i) => otherwise(i));
}

/** The same attention, with a window of `sliding_window` where the layer's type says so. */
export function windowed(f: Sizes, base: Grouped, type: (typeof TYPES)[number]): Grouped {
  const window = type === "sliding_attention" ? f.optional("sliding_window") : undefined;
  return window === undefined ? base : { ...base, window };
}
