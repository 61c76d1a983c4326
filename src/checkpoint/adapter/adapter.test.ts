import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../../../test/folders.ts";
import { loraKeys, loraShapes, type ModelConfig, parseConfig, type Weights } from "../../model/index.ts";
import { f32, type HostTensor, sizeOf } from "../../tensor/index.ts";
import { openCheckpoint } from "../checkpoint.ts";
import { convertModel } from "../convert.ts";
import { type RawTensor, SafetensorsFile, writeSafetensors } from "../safetensors.ts";
import { loadWeights } from "../weights.ts";
import { baseMark, readAdapter, writeAdapter } from "./adapter.ts";
import { parsePeft } from "./config.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const fixture = (name: string): string => fileURLToPath(new URL(`../../../test/fixtures/${name}`, import.meta.url));
const LLAMA = fixture("parity/llama");
const configOf = (dir: string): ModelConfig => parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
const json = (dir: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(dir, "adapter_config.json"), "utf8")) as Record<string, unknown>;

let copies = 0;
/** A copy of PEFT's adapter of llama, its config or its tensors changed. */
async function changed(
  config: Record<string, unknown>,
  change: (tensors: Map<string, HostTensor>) => void = () => {},
): Promise<string> {
  const dir = join(temporary.dir, `copy-${copies++}`);
  cpSync(fixture("lora/llama"), dir, { recursive: true });
  writeFileSync(join(dir, "adapter_config.json"), JSON.stringify({ ...json(dir), ...config }));
  const path = join(dir, "adapter_model.safetensors");
  const file = await SafetensorsFile.open(path);
  const tensors = new Map<string, HostTensor>();
  for (const key of file.tensors.keys()) tensors.set(key, await file.read(key));
  await file.close();
  change(tensors);
  const raw = [...tensors].map(
    ([key, { dtype, shape, data }]): RawTensor => ({
      key,
      dtype,
      shape,
      bytes: () => new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    }),
  );
  const anew = join(dir, "anew");
  await writeSafetensors(anew, raw);
  cpSync(anew, path);
  return dir;
}

const Q = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

describe("an adapter's folder of a stranger", () => {
  it.each([
    [{ peft_type: "IA3" }, /peft_type: "IA3" is not supported; LoRA on linear layers, plain or rslora, is/],
    [{ use_dora: true }, /"use_dora": true is not supported/],
    [{ bias: "all" }, /"bias": "all" is not supported/],
    [{ modules_to_save: ["lm_head"] }, /"modules_to_save"/],
    [{ rank_pattern: { q_proj: 4 } }, /"rank_pattern"/],
    [{ layer_replication: [[0, 1]] }, /"layer_replication"/],
    [{ fan_in_fan_out: true }, /"fan_in_fan_out"/],
    [{ something_new: 3 }, /"something_new": 3 is not supported/],
    [{ init_lora_weights: "pissa" }, /init_lora_weights: "pissa" is not supported: .* weights that it changed itself/],
    [{ target_parameters: ["mlp.experts.gate_up_proj"] }, /routed experts get no adapters/],
    [{ r: 1e9 }, /r: .*1024/],
    [{ r: 0 }, /r: /],
    [{ r: 4 }, /expected \[4, .*\] for this model at r = 4, got \[3, /],
    [{ lora_alpha: "6" }, /lora_alpha: expected number, received string|lora_alpha: expected number, got string/],
  ])("is refused for %j", async (config, message) => {
    await expect(readAdapter(await changed(config as Record<string, unknown>), configOf(LLAMA))).rejects.toThrow(
      message,
    );
  });

  it.each<[string, (tensors: Map<string, HostTensor>) => void, RegExp]>([
    [
      "half a pair",
      (t) => void t.delete(Q),
      /expected lora_A and lora_B of "model\.layers\.0\.self_attn\.q_proj", found B alone/,
    ],
    [
      "a layer lost",
      (t) => {
        t.delete(Q);
        t.delete(Q.replace("_A", "_B"));
      },
      /expected tensors of every layer that target_modules names, found none of "model\.layers\.0\.self_attn\.q_proj"/,
    ],
    [
      "another name",
      (t) => void t.set("base_model.model.lm_head.weight", f32([1], [1])),
      /lm_head\.weight": expected base_model\.model\.LAYER/,
    ],
    [
      "the head",
      (t) => void t.set("base_model.model.lm_head.lora_A.weight", f32([3, 24], new Float32Array(72))),
      /has no linear layer "lm_head" that may have an adapter/,
    ],
    [
      "a layer too many",
      (t) => void t.set(Q.replace("layers.0", "layers.7"), t.get(Q)!),
      /no linear layer "model\.layers\.7\.self_attn\.q_proj"/,
    ],
    [
      "another shape",
      (t) => void t.set(Q, f32([3, 25], new Float32Array(75))),
      /expected \[3, 24\] for this model at r = 3, got \[3, 25\]/,
    ],
    [
      "no number",
      (t) => void ((t.get(Q)!.data as Float32Array)[5] = NaN),
      /expected finite numbers, got NaN at 5 of 72/,
    ],
    [
      "integers",
      (t) => void t.set(Q, { dtype: "i32", shape: [3, 24], data: new Int32Array(72) }),
      /expected f32, bf16 or f16, got i32/,
    ],
    ["nothing", (t) => t.clear(), /expected the tensors of an adapter, found none/],
  ])("is refused with %s", async (_, change, message) => {
    await expect(readAdapter(await changed({}, change), configOf(LLAMA))).rejects.toThrow(message);
  });

  it("of another model is refused, and a whole model, and an adapter where a model is wanted", async () => {
    await expect(readAdapter(fixture("lora/llama"), configOf(fixture("parity/qwen3")))).rejects.toThrow(
      /belongs to another model/,
    );
    await expect(readAdapter(LLAMA, configOf(LLAMA))).rejects.toThrow(
      /expected the folder of an adapter, found no adapter_config\.json/,
    );
    await expect(openCheckpoint(fixture("lora/llama"))).rejects.toThrow(/the adapter of another .*--adapter/);
  });

  it("may say by an expression which layers it has: the tensors say so too, it is not run", async () => {
    const dir = await changed({ target_modules: "(((((.*)*)*)*)*)x" });
    expect((await readAdapter(dir, configOf(LLAMA))).lora.targets).toHaveLength(7);
  });
});

const numbersOf = (weights: Weights, key: string): Float32Array => (weights.get(key) as HostTensor<Float32Array>).data;
const values = (shape: readonly number[], seed: number): HostTensor<Float32Array> =>
  f32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(seed + i)),
  );

it("is written so that it is read again, and only beside the model that it was made for", async () => {
  const config = configOf(LLAMA);
  const lora = { rank: 2, alpha: 4, targets: ["q_proj", "layers.1.mlp.down_proj"], rslora: true };
  const keys = [...loraShapes(config, lora)];
  const { weights } = await loadWeights(LLAMA, config);
  const mark = await baseMark(config, (key) => numbersOf(weights, key));
  const dir = join(temporary.dir, "written");
  const tensor = (key: string) => values(loraShapes(config, lora).get(key)!, key.length);
  await writeAdapter(dir, { config, lora, tensor, base: { name: "llama", mark } });
  const read = await readAdapter(dir, config);
  expect(read.lora).toMatchObject({ rank: 2, alpha: 4, rslora: true });
  expect(read.tensors.size).toBe(keys.length);
  for (const [key] of keys) expect(read.tensors.get(key)).toEqual(tensor(key));

  const { weights: merged } = await loadWeights(LLAMA, config, { adapter: read });
  const layer = "model.layers.0.self_attn.q_proj";
  const [a, b] = [tensor(loraKeys(layer).a).data, tensor(loraKeys(layer).b).data];
  const [before, after] = [weights, merged].map((all) => numbersOf(all, `${layer}.weight`));
  const wanted = before![0]! + (4 / Math.SQRT2) * (b[0]! * a[0]! + b[1]! * a[24]!);
  expect(after![0]).toBeCloseTo(wanted, 6);
  expect(merged.get("model.norm.weight")).toEqual(weights.get("model.norm.weight"));

  const whole = await convertModel(LLAMA, join(temporary.dir, "merged"), { adapter: dir });
  expect(whole.type).toBe("f32");
  expect(numbersOf((await loadWeights(whole.out, config)).weights, `${layer}.weight`)).toEqual(after);
  await expect(
    convertModel(whole.out, join(temporary.dir, "twice.gguf"), { adapter: await otherMark(dir) }),
  ).rejects.toThrow(/was trained on another model of the same shape/);
});

/** The same adapter, of a model with other norms. */
async function otherMark(from: string): Promise<string> {
  const dir = join(temporary.dir, "other");
  cpSync(from, dir, { recursive: true });
  const path = join(dir, "adapter_model.safetensors");
  const bytes = readFileSync(path);
  const at = bytes.indexOf('"sumbi_base":"') + '"sumbi_base":"'.length;
  bytes[at] = bytes[at] === 48 ? 49 : 48;
  writeFileSync(path, bytes);
  return dir;
}

it("keeps unknown words of PEFT's that say nothing", () => {
  const config = { ...json(fixture("lora/qwen2")), eva_config: null, exclude_modules: [], revision: "main" };
  expect(parsePeft(config, "x")).toMatchObject({
    rank: 2,
    alpha: 5,
    rslora: true,
    targets: ["down_proj", "q_proj", "v_proj"],
  });
});
