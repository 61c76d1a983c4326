/** `sumbi inspect`: what a model is made of and what a token costs. */
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Command } from "commander";
import pc from "picocolors";
import { isGguf, openCheckpoint, readGguf, tensorsHeld } from "../checkpoint/index.ts";
import { SumbiError, UsageError } from "../errors.ts";
import { parametersInWords } from "../format.ts";
import {
  cacheBytesPerToken,
  cacheWidth,
  countParameters,
  flopsPerDecodedToken,
  flopsPerToken,
  hasMoe,
  headDims,
  isIndexed,
  isLatent,
  layerRuns,
  type ModelConfig,
  mixtureOf,
  mtpDepth,
  summarizeParameters,
  tensorCount,
  weightBytes,
} from "../model/index.ts";
import { loadModel, modelArgument } from "./models.ts";
import { bytes, count } from "./print.ts";

/** `sumbi inspect MODEL`: what a model is made of and what a token costs, from its config.json alone. */
export function register(program: Command): void {
  program
    .command("inspect")
    .description("layers, parameters, FLOPs and cache of a model")
    .argument("<model>", modelArgument())
    .option("--sequence <tokens>", "sequence length that FLOPs are averaged over", "4096")
    .option("--json", "print one JSON object")
    .action(async (model: string, options: { sequence: string; json?: boolean }) => {
      const sequence = Number(options.sequence);
      if (!Number.isSafeInteger(sequence) || sequence < 1)
        throw new UsageError(`inspect: --sequence: expected a positive whole number, got ${options.sequence}`);
      const report = await inspect(model, sequence);
      process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : draw(report));
    });
}

export type Inspection = Awaited<ReturnType<typeof inspect>>;

/** Everything the verb prints, as data. `model` is a folder, a config.json or a preset; files exist for a folder only. */
export async function inspect(model: string, sequence: number) {
  const { config, dir } = loadModel(model);
  const files = dir === undefined ? undefined : filesOf(dir);
  const { parts } = countParameters(config);
  const depth = mtpDepth(config);
  const flops = flopsPerToken(config, { sequence });
  const total = config.num_hidden_layers;
  const moe = layerRuns(config).reduce((sum, run) => sum + (run.moe ? run.count : 0), 0);
  return {
    model,
    modelType: config.model_type,
    layers: { total, dense: total - moe, moe, mtp: depth },
    shape: shapeOf(config),
    /** `mtp` on top of `total`: the modules, which training alone uses. */
    parameters: { ...summarizeParameters(config), parts },
    flopsPerToken: {
      sequence,
      causal: true,
      ...flops,
      trainingWithMtp: depth > 0 ? flopsPerToken(config, { sequence, mtp: true }).training : undefined,
      decode: flopsPerDecodedToken(config, { context: sequence }),
    },
    cache: {
      numbersPerTokenAndLayer: cacheWidth(config),
      bytesPerToken: cacheBytesPerToken(config),
      bytesPerSequence: cacheBytesPerToken(config) * sequence,
    },
    weightBytes: {
      bf16: weightBytes(config, 2),
      f32: weightBytes(config, 4),
      bf16WithMtp: weightBytes(config, 2, { mtp: true }),
    },
    tensors: await tensorsOf(dir ?? model, config, files),
    files,
  };
}

/** Tensors that config.json means (without MTP modules, and with), and what the folder's files hold, as far as they can be read. */
async function tensorsOf(
  dir: string,
  config: ModelConfig,
  files: FileSize[] | undefined,
): Promise<{ expected: number; withMtp: number; inFiles?: number; problem?: string }> {
  const counted = { expected: tensorCount(config, { mtp: false }), withMtp: tensorCount(config) };
  if (!isGguf(dir) && !files?.some(({ name }) => /\.safetensors(?:\.index\.json)?$/.test(name))) return counted;
  try {
    const checkpoint = await openCheckpoint(dir);
    await checkpoint.close();
    return { ...counted, inFiles: tensorsHeld(checkpoint, config) };
  } catch (error) {
    if (error instanceof SumbiError) return { ...counted, problem: error.message };
    throw error;
  }
}

interface FileSize {
  name: string;
  bytes: number;
}

function shapeOf(config: ModelConfig): Record<string, number | string> {
  const { nope, rope, value } = headDims(config);
  const shape: Record<string, number | string> = {
    vocabulary: config.vocab_size,
    width: config.hidden_size,
    heads: config.num_attention_heads,
    "dense FFN": config.intermediate_size,
  };
  if (isLatent(config)) {
    shape["head dims"] = `${nope} nope + ${rope} rope, ${value} value`;
    shape["latent ranks"] = `${config.kv_lora_rank} kv, ${config.q_lora_rank ?? "no"} query`;
    if (isIndexed(config))
      shape.indexer = `${config.index_topk} tokens attended to, found by ${config.index_n_heads} heads of ${config.index_head_dim}`;
  } else {
    shape["key heads"] = config.num_key_value_heads;
    shape["head dim"] = value;
  }
  if (hasMoe(config)) {
    const { experts, perToken, width, shared, groups } = mixtureOf(config);
    const limited = groups ? `, from ${groups.kept} of ${groups.count} groups` : "";
    shape.experts = `${perToken} of ${experts} routed${limited}, + ${shared} shared`;
    shape["expert FFN"] = width;
  }
  return shape;
}

/** A folder's files, largest first; or the GGUF file, with the others that it is split into. */
function filesOf(path: string): FileSize[] {
  const paths = isGguf(path)
    ? [...new Set([path, ...readGguf(path).fileOf.values()])]
    : readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => join(path, name));
  return paths.map((file) => ({ name: basename(file), bytes: statSync(file).size })).sort((a, b) => b.bytes - a.bytes);
}

function draw(report: Inspection): string {
  const lines: string[] = [];
  const row = (label: string, ...cells: (string | number)[]) =>
    lines.push(`  ${label.padEnd(22)}${cells.map((cell) => String(cell).padStart(12)).join("")}`.trimEnd());
  const head = (title: string, ...cells: string[]) =>
    lines.push("", pc.bold(`${title.padEnd(24)}${cells.map((cell) => cell.padStart(12)).join("")}`));
  const { layers, parameters, flopsPerToken: flops, cache } = report;
  lines.push(pc.bold(`${basename(report.model)} (${report.modelType})`));
  const kinds = [
    layers.moe && `${layers.dense} dense, ${layers.moe} mixture of experts`,
    layers.mtp && `+ ${layers.mtp} MTP`,
  ];
  lines.push(
    `  ${"layers".padEnd(22)}${layers.total}${kinds.some(Boolean) ? ` (${kinds.filter(Boolean).join(" ")})` : ""}`,
  );
  lines.push(`  ${"size".padEnd(22)}${parametersInWords(parameters)}`);
  for (const [name, value] of Object.entries(report.shape)) lines.push(`  ${name.padEnd(22)}${value}`);

  head("parameters", "total", "active");
  const tied = parameters.parts.find(({ part, total }) => part === "head" && total === 0);
  for (const { part, total, active } of parameters.parts)
    if (part === "embedding" && tied) row("embedding, also head", count(total), count(tied.active));
    else if (part !== "head" || !tied) row(part, count(total), count(active));
  row("sum", count(parameters.total), count(parameters.active));
  if (parameters.mtp > 0) row("in MTP modules", `+ ${count(parameters.mtp)}`);

  head(`FLOPs per token`, `at ${flops.sequence}`);
  for (const { part, forward } of flops.parts) row(part, flop(forward));
  row("forward", flop(flops.forward));
  row("training", flop(flops.training));
  if (flops.trainingWithMtp) row("training with MTP", flop(flops.trainingWithMtp));
  row("decode, all cached", flop(flops.decode));

  const { tensors } = report;
  head("tensors");
  row(
    "by config.json",
    `${tensors.expected.toLocaleString("en-US")}${tensors.withMtp > tensors.expected ? ` (${tensors.withMtp.toLocaleString("en-US")} with MTP)` : ""}`,
  );
  if (tensors.inFiles !== undefined) row("in the files", tensors.inFiles.toLocaleString("en-US"));
  if ((tensors.inFiles ?? tensors.expected) < tensors.expected)
    lines.push(
      pc.red(
        `  expected ${tensors.expected} tensors by config.json, the files hold ${String(tensors.inFiles)}: this is not the whole model`,
      ),
    );
  if (tensors.problem !== undefined) lines.push(pc.red(`  ${tensors.problem}`));

  head("memory");
  row("weights, bf16", bytes(report.weightBytes.bf16));
  if (parameters.mtp > 0) row("with MTP modules", bytes(report.weightBytes.bf16WithMtp));
  row("cache per token", bytes(cache.bytesPerToken));
  row(`cache of ${flops.sequence} tokens`, bytes(cache.bytesPerSequence));
  if (report.files) {
    head("files");
    for (const file of report.files) row(file.name, bytes(file.bytes));
    row("sum", bytes(report.files.reduce((a, file) => a + file.bytes, 0)));
  }
  return `${lines.join("\n")}\n`;
}

/** `249.7 GFLOP`. */
function flop(n: number): string {
  for (const [unit, size] of [
    ["P", 1e15],
    ["T", 1e12],
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const)
    if (n >= size) return `${(n / size).toFixed(1)} ${unit}FLOP`;
  return `${n} FLOP`;
}
