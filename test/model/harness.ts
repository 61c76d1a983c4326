import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openCheckpoint, SafetensorsFile } from "../../src/checkpoint/index.ts";
import { type ModelBuilder, type ModelConfig, modelBuilder, parseConfig } from "../../src/model/index.ts";
import { compile } from "../../src/runtime/index.ts";
import { type HostTensor, type Tensor, toOnnx } from "../../src/tensor/index.ts";

export interface Fixture {
  config: ModelConfig;
  weights: Map<string, HostTensor>;
  reference: Map<string, HostTensor>;
  about: Record<string, number>;
}

const ROOT = fileURLToPath(new URL("../fixtures/", import.meta.url));

/** A checkpoint folder with reference.safetensors beside it, wholly in memory. */
export async function loadFixture(name: string): Promise<Fixture> {
  const dir = ROOT + name;
  const checkpoint = await openCheckpoint(dir);
  const weights = new Map<string, HostTensor>();
  for (const key of checkpoint.keys()) weights.set(key, await checkpoint.readF32(key));
  const config = parseConfig(checkpoint.config);
  await checkpoint.close();
  const file = await SafetensorsFile.open(`${dir}/reference.safetensors`);
  const reference = new Map<string, HostTensor>();
  for (const key of file.tensors.keys()) reference.set(key, await file.read(key));
  await file.close();
  return {
    config,
    weights,
    reference,
    about: JSON.parse(readFileSync(`${dir}/about.json`, "utf8")) as Record<string, number>,
  };
}

/** Builds a graph, feeds it the weights it asked for and the given inputs, and runs it once. */
export async function evaluate(
  { config, weights }: Pick<Fixture, "config" | "weights">,
  build: (model: ModelBuilder) => Record<string, Tensor>,
  inputs: Record<string, HostTensor> = {},
): Promise<Record<string, HostTensor>> {
  const model = modelBuilder(config);
  const graph = toOnnx(build(model));
  const executable = await compile(graph.bytes, { name: "test" });
  const feeds: Record<string, HostTensor> = {};
  for (const name of Object.keys(graph.inputs)) feeds[name] = inputs[name] ?? weights.get(name)!;
  try {
    return await executable.run(feeds);
  } finally {
    executable.dispose();
  }
}

/** The largest difference, relative to the largest expected value: how far two tensors are apart. */
export function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`expected ${expected.length} values, got ${actual.length}`);
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Number.isNaN(actual[i]) ? Infinity : Math.abs(actual[i]! - expected[i]!));
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return scale === 0 ? worst : worst / scale;
}

export const numbers = (tensor: HostTensor): number[] => Array.from(tensor.data as ArrayLike<number | bigint>, Number);
