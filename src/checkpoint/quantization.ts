/** What config.json says about quantized weights: which forms are read, and the refusal of every other by name. */
import { CheckpointError } from "../errors.ts";
import { isRecord } from "../json.ts";
import { FP8_BLOCK } from "./fp8.ts";
import { quoted } from "./header.ts";

type Block = readonly [rows: number, cols: number];

/** How the FP8 tensors of a folder are scaled. */
export interface Quantization {
  /** quant_method; absent when config.json says nothing. */
  method?: string;
  /** Size of one block where scales come by blocks. */
  block?: Block;
  /** Whether config.json gave `block`: then scales per tensor and per row are refused. */
  blocksOnly: boolean;
  /** Modules that config.json says are not quantized: names, or ends of names. */
  kept: readonly string[];
}

/** Without a word in config.json: V3's blocks, or one scale a tensor or row. */
export const UNSAID: Quantization = { block: [FP8_BLOCK, FP8_BLOCK], blocksOnly: false, kept: [] };

const READ = "fp8, fbgemm_fp8, compressed-tensors or modelopt (all in FP8)";
const WHAT_TO_DO = "Take the model's release in bf16, or let the library that quantized it write it back in bf16";

/**
 * Reads `quantization_config` (or compressed-tensors' `compression_config`): FP8 by DeepSeek-V3, FBGEMM, compressed-tensors (vLLM's
 * llm-compressor) and ModelOpt, in all of which a weight is code × scale. Throws CheckpointError for everything else.
 */
export function parseQuantization(config: Record<string, unknown>, where: string): Quantization {
  const field = config.quantization_config != null ? "quantization_config" : "compression_config";
  const given = config[field];
  if (given == null) return UNSAID;
  const fail = (at: string, expected: string, got: unknown) =>
    new CheckpointError(`${where}: ${field}${at}: expected ${expected}, got ${quoted(got)}. ${WHAT_TO_DO}`);
  if (!isRecord(given)) throw fail("", "an object", given);
  const method = given.quant_method;
  const kept = [given.modules_to_not_convert, given.ignored_layers, given.ignore, given.exclude_modules]
    .flatMap((names) => (Array.isArray(names) ? names : []))
    .filter((name): name is string => typeof name === "string" && name !== "");
  switch (method) {
    case "fp8": {
      if (given.fmt != null && given.fmt !== "e4m3") throw fail(".fmt", '"e4m3"', given.fmt);
      const size = given.weight_block_size;
      return {
        method,
        kept,
        block: size === undefined ? UNSAID.block : blockOf(size, ".weight_block_size", fail),
        blocksOnly: size != null,
      };
    }
    case "fbgemm_fp8":
      return { method, kept, blocksOnly: false };
    case "compressed-tensors":
      return { method, kept, ...compressedTensors(given, fail) };
    case "modelopt":
      return { method, kept, ...modelOpt(given.quant_algo, fail) };
    default:
      throw fail(".quant_method", READ, method);
  }
}

type Fail = (at: string, expected: string, got: unknown) => CheckpointError;

function blockOf(size: unknown, at: string, fail: Fail): Block | undefined {
  if (size == null) return undefined;
  const sizes = typeof size === "string" ? size.split("x").map(Number) : size;
  if (!Array.isArray(sizes) || sizes.length !== 2 || !sizes.every((n) => Number.isSafeInteger(n) && n > 0))
    throw fail(at, "[rows, cols]", size);
  return sizes as unknown as Block;
}

/** ModelOpt's algorithms whose weights are FP8 codes times scales. */
function modelOpt(algorithm: unknown, fail: Fail): Pick<Quantization, "block" | "blocksOnly"> {
  if (algorithm === "FP8" || algorithm === "FP8_PER_CHANNEL_PER_TOKEN") return { blocksOnly: false };
  if (algorithm === "FP8_PB_WO") return { block: [FP8_BLOCK, FP8_BLOCK], blocksOnly: true };
  throw fail(".quant_algo", "FP8, FP8_PER_CHANNEL_PER_TOKEN or FP8_PB_WO", algorithm);
}

const FORMATS = ["float-quantized", "naive-quantized", "dense"];

function compressedTensors(given: Record<string, unknown>, fail: Fail): Pick<Quantization, "block" | "blocksOnly"> {
  if (given.format != null && !FORMATS.includes(given.format as string))
    throw fail(".format", FORMATS.join(" or "), given.format);
  if (given.quantization_status != null && given.quantization_status !== "compressed")
    throw fail(".quantization_status", '"compressed"', given.quantization_status);
  const { sparsity_config: sparsity, transform_config: transform } = given;
  if (isRecord(sparsity) && sparsity.format != null && sparsity.format !== "dense")
    throw fail(".sparsity_config.format", '"dense"', sparsity.format);
  const turns = isRecord(transform) ? transform.config_groups : undefined;
  if (isRecord(turns) && Object.keys(turns).length > 0) throw fail(".transform_config", "no transforms", transform);
  const groups = given.config_groups ?? {};
  if (!isRecord(groups)) throw fail(".config_groups", "an object", groups);
  const blocks: (Block | undefined)[] = [];
  for (const [name, group] of Object.entries(groups)) {
    const at = `.config_groups.${name}`;
    if (!isRecord(group)) throw fail(at, "an object", group);
    if (group.format != null && !FORMATS.includes(group.format as string))
      throw fail(`${at}.format`, FORMATS.join(" or "), group.format);
    const weights = group.weights;
    if (weights == null) continue;
    if (!isRecord(weights)) throw fail(`${at}.weights`, "an object", weights);
    if (weights.type !== "float" || weights.num_bits !== 8)
      throw fail(`${at}.weights`, "8-bit floats", `${String(weights.num_bits)}-bit ${String(weights.type)}`);
    if (weights.symmetric === false) throw fail(`${at}.weights.symmetric`, "true", false);
    if (weights.strategy === "block")
      blocks.push(blockOf(weights.block_structure ?? [FP8_BLOCK, FP8_BLOCK], `${at}.weights.block_structure`, fail));
    else if (weights.strategy == null || weights.strategy === "tensor" || weights.strategy === "channel")
      blocks.push(undefined);
    else throw fail(`${at}.weights.strategy`, "tensor, channel or block", weights.strategy);
  }
  const sizes = new Map(blocks.filter((block) => block !== undefined).map((block) => [block.join("×"), block]));
  if (sizes.size > 1) throw fail(".config_groups", "blocks of one size", [...sizes.keys()].join(" and "));
  return { block: [...sizes.values()][0], blocksOnly: blocks.length > 0 && !blocks.includes(undefined) };
}

/** Whether config.json says that this tensor's module is not quantized. Names are compared as they are: patterns (`re:…`, `*`) are not run. */
export function isKept({ kept }: Quantization, key: string): boolean {
  const module = key.replace(/\.[^.]*$/, "");
  return kept.some((name) => module === name || module.endsWith(`.${name}`));
}

/**
 * The block that one scale stands for, from the shapes of a matrix and of its scales: all of it, a row, or config.json's block (ragged
 * at the edges). undefined when the scales fit none.
 */
export function blockOfScales(
  shape: readonly number[],
  scales: readonly number[],
  { block, blocksOnly }: Quantization,
): Block | undefined {
  const [rows = 0, cols = 0] = shape;
  const is = (...expected: number[]) =>
    scales.length === expected.length && scales.every((size, i) => size === expected[i]);
  if (block && is(Math.ceil(rows / block[0]), Math.ceil(cols / block[1]))) return block;
  if (blocksOnly) return undefined;
  if (scales.every((size) => size === 1)) return [Math.max(rows, 1), Math.max(cols, 1)];
  return is(rows) || is(rows, 1) ? [1, Math.max(cols, 1)] : undefined;
}

/** Scales of activations and of an FP8 cache: products here are f32, and nothing is rounded that they would scale. */
const ACTIVATION_SCALE = /\.(?:input_scale|activation_scale|input_scale_ub|output_scale|[qkv]_scale)$/;
export const isActivationScale = (key: string): boolean => ACTIVATION_SCALE.test(key);
