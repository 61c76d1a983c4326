/** Dense families like Llama: grouped heads, a gated feed-forward part, windows and norms of their own. */
import { type Family, gated, heads, layersOf, pattern, rotary, windowed } from "./build.ts";
import type { Sizes } from "./sizes.ts";

const llamaLike = (defaults: Record<string, unknown>, read: (f: Sizes) => ReturnType<Family["build"]>): Family => ({
  defaults,
  build: read,
});

/** Every third, fourth or sixth layer sees all tokens, the others a window. */
const everyNth = (n: number) => (layer: number) => ((layer + 1) % n === 0 ? "full_attention" : "sliding_attention");

interface Shape {
  qkvBias?: boolean;
  outBias?: boolean;
  mlpBias?: boolean;
  qkNorm?: boolean;
  wideNorm?: boolean;
  layerNorms?: 1 | 2 | 4;
  /** Which layers have a window where the file lists none; default none. */
  windows?: (layer: number) => "full_attention" | "sliding_attention";
}

function dense(f: Sizes, { mlpBias = false, layerNorms, windows = () => "full_attention", ...bits }: Shape) {
  const layers = f.layers();
  const base = { ...heads(f), ...bits };
  const types = pattern(f, layers, windows);
  const ffn = gated(f.size("intermediate_size"), mlpBias);
  return {
    ...rotary(f),
    ...layersOf(layers, (i) => windowed(f, base, types[i]!), ffn),
    ...(layerNorms !== undefined && { layerNorms }),
  };
}

const all = (f: Sizes) => ({ qkvBias: f.flag("attention_bias"), outBias: f.flag("attention_bias") });
/** Mistral's own window is on every layer. */
const everywhere = (f: Sizes) =>
  f.optional("sliding_window") === undefined ? {} : { windows: () => "sliding_attention" as const };

const olmo2 = {
  vocab_size: 50304,
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
};
const gemma = { vocab_size: 256000, head_dim: 256, tie_word_embeddings: true };
const gemma2 = {
  ...gemma,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  sliding_window: 4096,
};
const mistral = {
  vocab_size: 32000,
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
};
const glm = {
  vocab_size: 151552,
  hidden_size: 4096,
  intermediate_size: 13696,
  num_hidden_layers: 40,
  num_attention_heads: 32,
  num_key_value_heads: 2,
  head_dim: 128,
  attention_bias: true,
};
const cohere = {
  vocab_size: 256000,
  hidden_size: 8192,
  intermediate_size: 22528,
  num_hidden_layers: 40,
  num_attention_heads: 64,
  tie_word_embeddings: true,
};

export const DENSE: Record<string, Family> = {
  mistral: llamaLike({ ...mistral, sliding_window: null }, (f) => dense(f, everywhere(f))),
  ministral: llamaLike(mistral, (f) => dense(f, everywhere(f))),
  ministral3: llamaLike({ ...mistral, vocab_size: 131072, num_hidden_layers: 34, head_dim: 128 }, (f) =>
    dense(f, everywhere(f)),
  ),
  olmo2: llamaLike(olmo2, (f) => dense(f, { ...all(f), qkNorm: true, wideNorm: true })),
  olmo3: llamaLike({ ...olmo2, sliding_window: 4096 }, (f) =>
    dense(f, { ...all(f), qkNorm: true, wideNorm: true, windows: everyNth(4) }),
  ),
  smollm3: llamaLike(
    {
      vocab_size: 128256,
      hidden_size: 2048,
      intermediate_size: 11008,
      num_hidden_layers: 36,
      num_attention_heads: 16,
      num_key_value_heads: 4,
      tie_word_embeddings: true,
    },
    (f) => dense(f, { ...all(f), mlpBias: f.flag("mlp_bias") }),
  ),
  gemma: llamaLike(
    { ...gemma, hidden_size: 3072, intermediate_size: 24576, num_hidden_layers: 28, num_attention_heads: 16 },
    (f) => dense(f, all(f)),
  ),
  gemma2: llamaLike(gemma2, (f) => dense(f, { ...all(f), layerNorms: 4, windows: everyNth(2) })),
  gemma3_text: llamaLike({ ...gemma2, vocab_size: 262208, sliding_window_pattern: 6 }, (f) =>
    dense(f, { ...all(f), qkNorm: true, layerNorms: 4, windows: everyNth(f.size("sliding_window_pattern")) }),
  ),
  glm: llamaLike(glm, (f) => dense(f, { qkvBias: f.flag("attention_bias") })),
  glm4: llamaLike(glm, (f) => dense(f, { qkvBias: f.flag("attention_bias"), layerNorms: 4 })),
  cohere: llamaLike(cohere, (f) =>
    dense(f, { ...all(f), qkNorm: f.flag("use_qk_norm"), wideNorm: true, layerNorms: 1 }),
  ),
  cohere2: llamaLike({ ...cohere, sliding_window: 4096 }, (f) =>
    dense(f, { ...all(f), layerNorms: 1, windows: everyNth(4) }),
  ),
  seed_oss: llamaLike(
    {
      vocab_size: 155136,
      hidden_size: 4096,
      intermediate_size: 27648,
      num_hidden_layers: 64,
      num_attention_heads: 80,
      num_key_value_heads: 8,
      head_dim: 128,
      attention_bias: true,
    },
    (f) =>
      dense(f, {
        qkvBias: f.flag("attention_bias"),
        outBias: f.flag("attention_out_bias"),
        mlpBias: f.flag("mlp_bias"),
      }),
  ),
  granite: llamaLike(
    {
      vocab_size: 32000,
      hidden_size: 4096,
      intermediate_size: 11008,
      num_hidden_layers: 32,
      num_attention_heads: 32,
    },
    (f) => dense(f, { ...all(f), mlpBias: f.flag("mlp_bias") }),
  ),
  phi3: llamaLike(
    {
      vocab_size: 32064,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_hidden_layers: 32,
      num_attention_heads: 32,
    },
    (f) => dense(f, everywhere(f)),
  ),
};
