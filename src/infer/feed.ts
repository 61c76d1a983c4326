/** From weights in any form to a graph: what its products are, and the host tensors that they read. */
import { decodeBf16 } from "../checkpoint/index.ts";
import { ShapeError } from "../errors.ts";
import {
  BLOCK,
  type BlockWeight,
  type BuilderOptions,
  blocksOf,
  codeBytes,
  fromBlocks,
  headDims,
  type LatentConfig,
  type LatentProducts,
  type ModelConfig,
  type Weight,
  type Weights,
} from "../model/index.ts";
import {
  blockMatmul,
  cast,
  concat,
  f32,
  floor,
  gather,
  type HostTensor,
  input,
  inputOf,
  matmul,
  mul,
  parameter,
  reachable,
  reshape,
  slice,
  split,
  sub,
  type Tensor,
} from "../tensor/index.ts";
import { giveBack, returnable } from "./returnable.ts";

export interface FeedOptions {
  /** Weights will not change: parts of them may be kept as copies. */
  frozen?: boolean;
  /** Products with blocks keep their rows in f32 instead of rounding them to 8 bits: exact, several times slower. */
  exact?: boolean;
  /**
   * Products with blocks never see a single row, for which the kernel is another: a row of zeros goes along where one might. A row's
   * result then has the same bits among however many.
   */
  twoRows?: boolean;
  /** Weights that one product multiplies at most; larger ones go in parts. */
  partWeights?: number;
}

const PART_WEIGHTS = 2 ** 26;

/**
 * Gives a builder its weights. Plain f32 is fed under its key, in place; bf16 tables by rows, other bf16 as f32 made here; blocks by their
 * codes and scales. Throws ShapeError when a weight is missing or has another shape than the config says.
 */
export class Feed {
  /** What graph inputs of these names are fed with. */
  readonly tensors = new Map<string, HostTensor>();
  readonly #inputs = new Map<string, Tensor>();
  /** Names that must be constants, since the kernel is slow otherwise. */
  readonly constant = new Set<string>();

  constructor(
    private readonly config: ModelConfig,
    private readonly weights: Weights,
    private readonly how: FeedOptions = {},
  ) {}

  /** The builder's hooks. */
  get options(): BuilderOptions {
    return {
      source: (key, shape) => {
        this.#weight(key, shape);
        return parameter(key, shape);
      },
      product: (x, weight, key) => this.#product(x, weight, key),
      rows: (key, ids, shape) => this.#rows(key, ids, shape),
      latent: (key) => this.#latent(key),
      lora: this.weights.lora,
    };
  }

  #weight(key: string, shape?: readonly number[]): Weight {
    const weight = this.weights.get(key);
    if (weight === undefined)
      throw new ShapeError(`decoder: expected a weight ${key} of [${shape?.join(", ")}], got none`);
    if (shape !== undefined && weight.shape.join() !== shape.join())
      throw new ShapeError(
        `decoder: expected a weight ${key} of [${shape.join(", ")}], got one of [${weight.shape.join(", ")}]`,
      );
    return weight;
  }

  /** What a graph input of that name is fed with; what stands under a key becomes f32 when a graph asks for it as such. */
  of(name: string): HostTensor | undefined {
    const known = this.tensors.get(name);
    const weight = known ?? this.weights.get(name);
    if (weight === undefined) return undefined;
    const plain = known ?? plainOf(weight as Weight);
    this.tensors.set(name, plain);
    return plain;
  }

  /** The graph input of that name, the same for all who ask, fed with `tensor`. */
  #input(name: string, tensor: HostTensor): Tensor {
    this.tensors.set(name, tensor);
    let made = this.#inputs.get(name);
    if (made === undefined) this.#inputs.set(name, (made = input(name, tensor.dtype, tensor.shape)));
    return made;
  }

  /** Gives back what was made here under that name. */
  discard(name: string): void {
    const made = this.tensors.get(name);
    if (made && made !== this.weights.get(name)) giveBack(made.data);
    this.tensors.delete(name);
  }

  #product(x: Tensor, weight: Tensor, key: string): Tensor {
    const own = inputOf(weight)?.name ?? key;
    const held = this.#weight(own);
    if (held.dtype === "blocks") return this.#inParts(x, own, held);
    return matmul(x, weight, { transB: true });
  }

  /** A product with blocks, a very large one in parts: the runtime packs each apart, so that its passing copies are smaller. */
  #inParts(x: Tensor, key: string, weight: BlockWeight): Tensor {
    const [rows, columns] = weight.shape;
    const parts = Math.ceil((rows * columns) / (this.how.partWeights ?? PART_WEIGHTS));
    const step = Math.ceil(rows / parts);
    const products = Array.from({ length: Math.ceil(rows / step) }, (_, i) =>
      this.#blocks(x, key, weight, i * step, Math.min(step, rows - i * step)),
    );
    return concat(products, -1);
  }

  /** A product with blocks, or with `count` rows of them from `from` on. */
  #blocks(x: Tensor, key: string, weight: BlockWeight, from = 0, count = weight.shape[0]): Tensor {
    const { bits, codes, scales } = weight;
    const blocks = blocksOf(weight);
    const bytes = codeBytes(weight);
    const whole = count === weight.shape[0];
    const names = ["codes", "scales"].map((part) => `${key} ${part}${whole ? "" : ` ${from}+${count}`}`);
    const part = <A extends Uint8Array | Float32Array>(data: A, width: number) =>
      data.subarray(from * width, (from + count) * width) as A;
    const [codesName, scalesName] = names as [string, string];
    for (const name of names) this.constant.add(name);
    const codesIn = this.#input(codesName, {
      dtype: "u8",
      shape: [count, blocks, bytes],
      data: part(codes, blocks * bytes),
    });
    const scalesIn = this.#input(scalesName, f32([count, blocks], part(scales, blocks)));
    const { exact = false, twoRows = false } = this.how;
    return blockMatmul(x, codesIn, scalesIn, {
      bits,
      block: BLOCK,
      inner: weight.shape[1],
      rounded: !exact,
      twoRows,
    });
  }

  /** Rows of a table: bf16 and blocks become f32 after they are taken. f32 is left to the builder. */
  #rows(key: string, ids: Tensor, shape: readonly number[]): Tensor | undefined {
    const weight = this.#weight(key, shape);
    const [count, width] = weight.shape as [number, number];
    if (weight.dtype === "bf16") {
      const name = `${key} bf16`;
      return cast(gather(this.#input(name, weight), ids), "f32");
    }
    if (weight.dtype !== "blocks") return undefined;
    const { bits } = weight;
    const blocks = blocksOf(weight);
    const bytes = codeBytes(weight);
    // names of their own: the product's may be released
    const [codesName, scalesName] = [`${key} rows of codes`, `${key} rows of scales`];
    const table = this.#input(codesName, { dtype: "u8", shape: [count, blocks, bytes], data: weight.codes });
    const codes = cast(gather(table, ids), "f32");
    const scales = gather(this.#input(scalesName, f32([count, blocks], weight.scales)), ids);
    const high = floor(mul(codes, 1 / 16));
    const each =
      bits === 8
        ? codes
        : concat(
            [sub(codes, mul(high, 16)), high].map((half) => reshape(half, [-1, blocks, bytes, 1])),
            3,
          );
    const steps = sub(reshape(each, [-1, blocks, BLOCK]), 2 ** (bits - 1));
    const all = reshape(mul(steps, reshape(scales, [-1, blocks, 1])), [-1, blocks * BLOCK]);
    return reshape(slice(all, 1, 0, width), [...ids.shape, width]);
  }

  /**
   * MLA's absorbed form with the halves of kv_b_proj apart. In blocks the value rows of a head are a product as they lie; the key rows are
   * summed over, across the blocks, which no kernel does: they are kept as f32. Of weights that may change nothing is copied.
   */
  #latent(key: string): LatentProducts | undefined {
    const weight = this.#weight(key);
    if (weight.dtype !== "blocks" && !this.how.frozen) return undefined;
    const { num_attention_heads: H } = this.config as LatentConfig;
    const { nope: N, value: P } = headDims(this.config);
    const keys_HNC = this.#half(key, weight, 0, N);
    if (weight.dtype === "blocks")
      return {
        toLatent: (q_HXN) => matmul(q_HXN, keys_HNC, { alpha: 2 }),
        fromLatent: (o_HXC) =>
          concat(
            split(o_HXC, 0, Array<number>(H).fill(1)).map((o, h) => this.#blocks(o, key, weight, h * (N + P) + N, P)),
            0,
          ),
      };
    const values_HPC = this.#half(key, weight, N, P);
    return {
      toLatent: (q_HXN) => matmul(q_HXN, keys_HNC, { alpha: 2 }),
      fromLatent: (o_HXC) => matmul(o_HXC, values_HPC, { transB: true, alpha: 2 }),
    };
  }

  /**
   * Rows from … from + count of every head of kv_b_proj, [H, count, C], times ½: a product that is doubled again, exactly, takes the same kernel for
   * one row as for many.
   */
  #half(key: string, weight: Weight, from: number, count: number): Tensor {
    const { num_attention_heads: H, kv_lora_rank: C } = this.config as LatentConfig;
    const { nope: N, value: P } = headDims(this.config);
    const name = `${key} ${from}+${count} halved`;
    let half = this.tensors.get(name);
    if (half === undefined) {
      const all = plainOf(weight).data as Float32Array;
      const rows = new Float32Array(H * count * C);
      for (let h = 0; h < H; h++) {
        const at = (h * (N + P) + from) * C;
        for (let i = 0; i < count * C; i++) rows[h * count * C + i] = (all[at + i] as number) / 2;
      }
      half = f32([H, count, C], rows);
    }
    return this.#input(name, half);
  }
}

/**
 * Inputs of a graph that are right operands of plain matrix products and nothing else. As constants the runtime packs these when it compiles,
 * and reads the original no more, however many rows the left operand has.
 */
export function packedByRuntime(outputs: Iterable<Tensor>): Set<string> {
  const packed = new Set<string>();
  const read = new Set<string>();
  for (const { primitive, inputs } of reachable(outputs))
    inputs.forEach((tensor, i) => {
      const name = inputOf(tensor)?.name;
      if (name === undefined) return;
      const isFactor = primitive.name === "matmul" && i === 1 && inputs.every((operand) => operand.rank === 2);
      (isFactor ? packed : read).add(name);
    });
  for (const name of read) packed.delete(name);
  return packed;
}

function plainOf(weight: Weight): HostTensor {
  if (weight.dtype === "blocks") return fromBlocks(weight);
  if (weight.dtype !== "bf16") return weight;
  return f32(weight.shape, decodeBf16(weight.data as Uint16Array, returnable(weight.data.length)));
}
