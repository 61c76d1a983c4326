import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type RawTensor, SafetensorsFile, writeSafetensors } from "../../src/checkpoint/index.ts";
import { openDecoder } from "../../src/infer/index.ts";
import { parseConfig } from "../../src/model/index.ts";
import { OneSequence } from "./sequence.ts";

export const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));

/** How a copy of a fixture differs from it. */
export interface Change {
  /** Fields of config.json to set, and to remove. */
  set?: Record<string, unknown>;
  remove?: string[];
  /** Tensors that become another's, by key, and those that go. */
  copy?: Record<string, string>;
  drop?: string[];
  /** Tensors to put in (or in place of others). */
  put?: RawTensor[];
}

/** Tests only: writes a changed copy of a checkpoint of test/fixtures/parity (or `mtp/…`) into an empty folder. */
export async function changedFixture(
  dir: string,
  fixture: string,
  { set, remove = [], copy = {}, drop = [], put = [] }: Change,
): Promise<string> {
  const from = join(FIXTURES, fixture.includes("/") ? fixture : `parity/${fixture}`);
  cpSync(from, dir, { recursive: true });
  const config = {
    ...(JSON.parse(readFileSync(join(from, "config.json"), "utf8")) as Record<string, unknown>),
    ...set,
  };
  for (const field of remove) delete config[field];
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  const file = await SafetensorsFile.open(join(from, "model.safetensors"));
  const tensors = new Map<string, RawTensor>();
  for (const [key, { dtype, shape }] of file.tensors)
    tensors.set(key, {
      key,
      dtype,
      shape,
      bytes: async () => bytesOf((await file.read(copy[key] ?? key)).data as ArrayBufferView),
    });
  for (const key of drop) tensors.delete(key);
  for (const tensor of put) tensors.set(tensor.key, tensor);
  rmSync(join(dir, "model.safetensors"));
  await writeSafetensors(join(dir, "model.safetensors"), [...tensors.values()]);
  await file.close();
  return dir;
}

export const bytesOf = (x: ArrayBufferView): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

/** Tests only: logits [T, V] of tokens by a folder, read and computed as serving does it; also the notes on its weights. */
export async function logitsOf(
  dir: string,
  tokens: readonly number[],
): Promise<{ logits: Float32Array; notes: readonly string[] }> {
  const where = join(dir, "config.json");
  const decoder = await openDecoder(dir, parseConfig(JSON.parse(readFileSync(where, "utf8")), where));
  try {
    return { logits: (await new OneSequence(decoder).forward(tokens, { all: true })).slice(), notes: decoder.notes };
  } finally {
    decoder.dispose();
  }
}

/** Tests only: the first row of a fixture's input_ids. */
export async function tokensOf(fixture: string): Promise<number[]> {
  const file = await SafetensorsFile.open(join(FIXTURES, "parity", fixture, "reference.safetensors"));
  const ids = await file.read("input_ids");
  await file.close();
  return Array.from(ids.data.slice(0, ids.shape[1]) as BigInt64Array, Number);
}
