/** Families like GPT-2: LayerNorm, products with biases, two matrices in the feed-forward part. */
import type { Architecture } from "../architecture.ts";
import { type Family, type Grouped, layersOf } from "./build.ts";
import type { Sizes } from "./sizes.ts";

interface Shape extends Pick<Architecture, "hidden" | "vocab" | "tied"> {
  layers: number;
  heads: number;
  kvHeads?: number;
  width: number;
  bias: boolean;
  /** Of the attention where it differs from the rest. */
  attentionBias?: boolean;
  dropout: boolean;
  positions?: number;
  layerNorms?: 1 | 2;
  embeddingNorm?: boolean;
}

function gpt(shape: Shape): Omit<Architecture, "name"> {
  const { layers, heads, kvHeads = heads, width, bias, attentionBias = bias, hidden, vocab, tied, dropout } = shape;
  const attention: Grouped = {
    kind: "gqa",
    heads,
    kvHeads,
    headDim: Math.floor(hidden / heads),
    qkvBias: attentionBias,
    outBias: attentionBias,
    qkNorm: false,
  };
  return {
    hidden,
    vocab,
    tied,
    mtpDepth: 0,
    norm: "layer",
    dropout,
    ...layersOf(layers, attention, () => ({ kind: "dense", width, gated: false, bias })),
    ...(shape.positions !== undefined && { positions: shape.positions }),
    ...(shape.layerNorms === 1 && { layerNorms: 1 }),
    ...(shape.embeddingNorm && { embeddingNorm: true }),
  };
}

const gpt2: Family = {
  defaults: {
    vocab_size: 50257,
    n_positions: 1024,
    n_embd: 768,
    n_layer: 12,
    n_head: 12,
    resid_pdrop: 0.1,
    tie_word_embeddings: true,
  },
  build: (f) => {
    const hidden = f.size("n_embd");
    return gpt({
      hidden,
      vocab: f.size("vocab_size"),
      tied: f.flag("tie_word_embeddings"),
      layers: f.layers("n_layer"),
      heads: f.size("n_head"),
      width: f.optional("n_inner") ?? 4 * hidden,
      bias: true,
      dropout: f.share("resid_pdrop"),
      positions: f.size("n_positions"),
    });
  },
};

const neox: Family = {
  defaults: {
    vocab_size: 50432,
    hidden_size: 6144,
    num_hidden_layers: 44,
    num_attention_heads: 64,
    intermediate_size: 24576,
    attention_bias: true,
  },
  build: (f) =>
    gpt({
      hidden: f.size("hidden_size"),
      vocab: f.size("vocab_size"),
      tied: f.flag("tie_word_embeddings"),
      layers: f.layers(),
      heads: f.size("num_attention_heads"),
      width: f.size("intermediate_size"),
      bias: true,
      attentionBias: f.flag("attention_bias"),
      dropout: f.share("hidden_dropout"),
    }),
};

/** Falcon: no biases; the first ones keep one head of keys and values, and attention beside the feed-forward part under one norm. */
const falcon: Family = {
  defaults: {
    vocab_size: 65024,
    hidden_size: 4544,
    num_hidden_layers: 32,
    num_attention_heads: 71,
    multi_query: true,
    parallel_attn: true,
    tie_word_embeddings: true,
  },
  build: (f) => {
    const hidden = f.size("hidden_size");
    const heads = f.size("num_attention_heads");
    const later = f.flag("new_decoder_architecture");
    const oneNorm = later ? f.optional("num_ln_in_parallel_attn") === 1 : f.flag("parallel_attn");
    return gpt({
      hidden,
      vocab: f.size("vocab_size"),
      tied: f.flag("tie_word_embeddings"),
      layers: f.layers(),
      heads,
      kvHeads: later ? (f.optional("num_kv_heads") ?? heads) : f.flag("multi_query") ? 1 : heads,
      width: f.optional("ffn_hidden_size") ?? 4 * hidden,
      bias: f.flag("bias"),
      dropout: f.share("hidden_dropout"),
      layerNorms: oneNorm ? 1 : 2,
    });
  },
};

const bloom: Family = {
  defaults: { vocab_size: 250880, hidden_size: 64, n_layer: 2, n_head: 8, tie_word_embeddings: true },
  build: (f) => {
    const hidden = f.has("n_embed") ? f.size("n_embed") : f.size("hidden_size");
    return gpt({
      hidden,
      vocab: f.size("vocab_size"),
      tied: f.flag("tie_word_embeddings"),
      layers: f.layers("n_layer"),
      heads: f.has("num_attention_heads") ? f.size("num_attention_heads") : f.size("n_head"),
      width: 4 * hidden,
      bias: true,
      dropout: f.share("hidden_dropout"),
      embeddingNorm: true,
    });
  },
};

/** Rows of positions that OPT has beside those it counts. */
const OPT_OFFSET = 2;
const opt: Family = {
  defaults: {
    vocab_size: 50272,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    ffn_dim: 3072,
    max_position_embeddings: 2048,
    dropout: 0.1,
    tie_word_embeddings: true,
    do_layer_norm_before: true,
    enable_bias: true,
  },
  build: (f) => {
    const hidden = f.size("hidden_size");
    onlyWide(f, hidden);
    return gpt({
      hidden,
      vocab: f.size("vocab_size"),
      tied: f.flag("tie_word_embeddings"),
      layers: f.layers(),
      heads: f.size("num_attention_heads"),
      width: f.size("ffn_dim"),
      bias: f.flag("enable_bias"),
      dropout: f.share("dropout"),
      positions: f.size("max_position_embeddings") + OPT_OFFSET,
    });
  },
};

/** OPT-350M alone has a narrower embedding and no last norm. */
function onlyWide(f: Sizes, hidden: number): void {
  if ((f.optional("word_embed_proj_dim") ?? hidden) !== hidden)
    f.fault("word_embed_proj_dim", `hidden_size, ${hidden} (of OPT all but the 350M model)`);
  if (!f.flag("do_layer_norm_before")) f.fault("do_layer_norm_before", "true (of OPT all but the 350M model)");
}

export const GPTS: Record<string, Family> = { gpt2, gpt_neox: neox, falcon, bloom, opt };
