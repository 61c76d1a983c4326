/** The letters of dimensions, once for the whole project. */

/**
 * The letters for dimensions, once for the whole project: in variable suffixes (`latent_BSC`), in symbolic
 * dimensions of graphs and in error messages.
 */
export const DIMS = {
  B: "batch",
  T: "query tokens",
  S: "key positions",
  D: "model width (hidden_size)",
  H: "heads (num_attention_heads)",
  J: "key and value heads (num_key_value_heads)",
  I: "query heads per key head",
  N: "nope head dim (qk_nope_head_dim)",
  R: "rope head dim (qk_rope_head_dim; the whole head in llama and qwen)",
  P: "value head dim (v_head_dim)",
  C: "kv latent rank (kv_lora_rank)",
  Q: "query latent rank (q_lora_rank)",
  F: "dense FFN width (intermediate_size)",
  M: "expert width (moe_intermediate_size)",
  E: "routed experts (n_routed_experts)",
  K: "experts per token (num_experts_per_tok)",
  G: "groups of experts (n_group)",
  V: "vocabulary (vocab_size)",
  X: "tokens, B·T flattened",
  U: "heads of the indexer (index_n_heads)",
  Z: "head dim of the indexer (index_head_dim)",
} as const;

export type Dim = keyof typeof DIMS;
