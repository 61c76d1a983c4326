/** The tensors of a model in llama.cpp's names, order and layout, each made of Hugging Face's when its turn comes. */
import { headDims, isLatent, listParameters, type ModelConfig, mixtureOf } from "../../model/index.ts";
import { sizeOf } from "../../tensor/index.ts";
import { factorsOf } from "./metadata.ts";
import { expertKey, nameOf } from "./names.ts";

export interface StoredTensorPlan {
  name: string;
  /** Outermost first. */
  shape: readonly number[];
  /** Its numbers in order, in parts of whole rows. */
  parts: () => AsyncGenerator<Float32Array> | Generator<Float32Array>;
}

type Read = (key: string) => Promise<Float32Array>;

const EXPERT = /^model\.layers\.(\d+)\.mlp\.experts\.0\.(gate|up|down)_proj\.weight$/;
const LATER_EXPERT = /\.mlp\.experts\.[1-9]\d*\./;

/**
 * Plans for every tensor of a config without MTP modules. Returns a list of keys that llama.cpp has no name for beside them.
 */
export function layoutOf(config: ModelConfig, read: Read): { tensors: StoredTensorPlan[]; unnamed: string[] } {
  const tensors: StoredTensorPlan[] = [];
  const unnamed: string[] = [];
  const { query, nope: N, value: P } = headDims(config);
  const turns = config.model_type === "llama";
  for (const { key, shape } of listParameters(config)) {
    if (LATER_EXPERT.test(key)) continue;
    const [, layer, part] = EXPERT.exec(key) ?? [];
    if (layer !== undefined && part !== undefined) {
      const { experts } = mixtureOf(config);
      tensors.push({
        name: `blk.${layer}.ffn_${part}_exps.weight`,
        shape: [experts, ...shape],
        parts: async function* () {
          for (let e = 0; e < experts; e++) yield await read(expertKey(Number(layer), e, part));
        },
      });
    } else if (isLatent(config) && key.endsWith(".self_attn.kv_b_proj.weight")) {
      const at = `blk.${key.split(".")[2]}`;
      const { num_attention_heads: H, kv_lora_rank: C } = config;
      tensors.push(
        { name: `${at}.attn_k_b.weight`, shape: [H, C, N], parts: () => heads(read(key), H, C, N, P, true) },
        { name: `${at}.attn_v_b.weight`, shape: [H, P, C], parts: () => heads(read(key), H, C, N, P, false) },
      );
    } else {
      const name = nameOf(key);
      if (name === undefined) {
        unnamed.push(key);
        continue;
      }
      const turned = turns && /\.self_attn\.[qk]_proj\.(?:weight|bias)$/.test(key);
      tensors.push({
        name,
        shape,
        parts: async function* () {
          const data = await read(key);
          yield turned ? neighbours(data, shape[0] ?? 0, query) : data;
        },
      });
    }
  }
  const factors = factorsOf(config);
  if (factors !== undefined)
    tensors.push({
      name: "rope_freqs.weight",
      shape: [factors.length],
      parts: function* () {
        yield factors;
      },
    });
  return { tensors, unnamed };
}

/** kv_b_proj [H·(N + P), C], head by head: keys transposed [C, N], or values [P, C]. */
async function* heads(
  weight: Promise<Float32Array>,
  H: number,
  C: number,
  N: number,
  P: number,
  keys: boolean,
): AsyncGenerator<Float32Array> {
  const data = await weight;
  for (let h = 0; h < H; h++) {
    const at = h * (N + P) * C;
    if (!keys) {
      yield data.subarray(at + N * C, at + (N + P) * C);
      continue;
    }
    const turned = new Float32Array(C * N);
    for (let c = 0; c < C; c++) for (let n = 0; n < N; n++) turned[c * N + n] = data[at + n * C + c]!;
    yield turned;
  }
}

/** Rows of whole heads of `dim`: halves become neighbouring pairs, row h·dim + s·dim/2 + i goes to h·dim + 2i + s. */
function neighbours(data: Float32Array, rows: number, dim: number): Float32Array {
  const width = data.length / rows;
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const [head, place] = [row - (row % dim), row % dim];
    const to = head + 2 * (place % (dim / 2)) + (place < dim / 2 ? 0 : 1);
    out.set(data.subarray(row * width, (row + 1) * width), to * width);
  }
  return out;
}

/** Numbers of a tensor. */
export const sizeOfPlan = ({ shape }: StoredTensorPlan): number => sizeOf(shape);
