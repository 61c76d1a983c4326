import { describe, expect, it } from "vitest";
import {
  cacheSpec,
  languageModel,
  type ModelConfig,
  modelBuilder,
  pastMask,
  readMask,
  ropeAt,
} from "../../src/model/index.ts";
import { compile, type Executable } from "../../src/runtime/index.ts";
import { f32, type HostTensor, i64, input, toOnnx } from "../../src/tensor/index.ts";
import { distance, type Fixture, loadFixture } from "./harness.ts";

const NAMES = [
  "parity/deepseek_v3",
  "parity/deepseek_v3-yarn-uneven-mscale",
  "parity/deepseek_v3-odd-sizes",
  "parity/deepseek_v3-no-q-rank",
  "parity/deepseek_v2",
  "parity/deepseek_v32",
  "parity/deepseek_v32-yarn",
  "parity/deepseek",
  "parity/deepseek-every-second",
  "parity/llama-llama3-rope",
  "parity/qwen2",
  "parity/qwen3",
  "parity/qwen3_moe",
  "parity/qwen3_moe-sparse-steps",
];

/** A graph for any number of new tokens after any number of cached ones, or one for a single token. */
async function decoder({ config }: Fixture, batch: number, mode: "read" | "step"): Promise<Executable> {
  const model = modelBuilder(config);
  const positions = input("positions", "i64", [batch, mode === "step" ? 1 : "T"]);
  const ids = input("ids", "i64", [batch, mode === "step" ? 1 : "T"]);
  const rows = cacheSpec(config).map(({ name, heads, width }) =>
    input(name, "f32", heads === 1 ? [batch, "S", width] : [batch, heads, "S", width]),
  );
  const mask = mode === "read" ? readMask(positions, "S") : pastMask(positions, "S");
  const past = { rows, mode, mask, places_BT: positions };
  const out = languageModel(model, ids, ropeAt(config, positions, 64), { past });
  const gained = Object.fromEntries(out.rows.map((row, i) => [`new.${cacheSpec(config)[i]!.name}`, row]));
  return compile(toOnnx({ logits: out.logits, ...gained }).bytes, { name: mode });
}

/** Positions in the caches here: more than are used, and what lies beyond is not zero. */
const ROOM = 20;

/** Appends tokens [B, T] to a cache and returns their logits. */
async function step(
  exe: Executable,
  { config, weights }: Fixture,
  cache: Map<string, HostTensor>,
  ids: HostTensor,
  start: number,
) {
  const [B, T] = ids.shape as [number, number];
  const positions = i64(
    [B!, T!],
    Array.from({ length: B! * T! }, (_, i) => start + (i % T!)),
  );
  const feeds: Record<string, HostTensor> = { ids, positions };
  for (const { name } of exe.inputs) feeds[name] ??= cache.get(name) ?? weights.get(name)!;
  const out = await exe.run(feeds);
  for (const { name, heads, width } of cacheSpec(config)) {
    const [to, from] = [cache.get(name)!.data as Float32Array, out[`new.${name}`]!.data as Float32Array];
    for (let line = 0; line < B! * heads; line++)
      to.set(from.subarray(line * T! * width, (line + 1) * T! * width), (line * ROOM + start) * width);
  }
  return out.logits!.data as Float32Array;
}

const emptyCache = (config: ModelConfig, batch: number) =>
  new Map<string, HostTensor>(
    cacheSpec(config).map(({ name, heads, width }) => {
      const shape = heads === 1 ? [batch, ROOM, width] : [batch, heads, ROOM, width];
      return [name, f32(shape, new Float32Array(batch * heads * ROOM * width).fill(0.5))];
    }),
  );

/** Columns start … end of ids [B, T]. */
function columns(ids: HostTensor, start: number, end: number): HostTensor {
  const [B, T] = ids.shape as [number, number];
  const rows = Array.from({ length: B }, (_, b) =>
    Array.from(ids.data.slice(b * T + start, b * T + end) as BigInt64Array, Number),
  );
  return i64([B, end - start], rows.flat());
}

describe.each(NAMES)("%s with a cache", (name) => {
  it.each(["read in passes", "step by step"])(
    "%s: cut at every place, the logits are those of the whole",
    async (form) => {
      const fixture = await loadFixture(name);
      const { config, reference } = fixture;
      const ids = reference.get("input_ids")!;
      const [B, T] = ids.shape as [number, number];
      const V = config.vocab_size;
      const expected = reference.get("logits")!.data as Float32Array;
      const read = await decoder(fixture, B!, "read");
      const single = await decoder(fixture, B!, "step");
      for (let cut = 0; cut <= T!; cut++) {
        const cache = emptyCache(config, B!);
        const logits = new Float32Array(B! * T! * V);
        // the first part in one pass, the rest in another or token by token
        const each = Array.from({ length: T! - cut }, (_, i) => cut + i + 1);
        const stops = form === "step by step" ? [Math.max(1, cut), ...each.slice(cut === 0 ? 1 : 0)] : [cut, T];
        let start = 0;
        for (const stop of new Set(stops)) {
          if (stop === start) continue;
          const exe = form === "step by step" && start > 0 ? single : read;
          const part = await step(exe, fixture, cache, columns(ids, start, stop!), start);
          for (let b = 0; b < B!; b++)
            logits.set(part.subarray(b * (stop! - start) * V, (b + 1) * (stop! - start) * V), (b * T + start) * V);
          start = stop!;
        }
        expect(distance(logits, expected), `cut at ${cut}`).toBeLessThan(1e-4);
      }
      read.dispose();
      single.dispose();
    },
  );
});

describe("languageModel", () => {
  it("gives the logits of chosen rows only", async () => {
    const fixture = await loadFixture("parity/deepseek_v3");
    const { config, reference } = fixture;
    const model = modelBuilder(config);
    const rope = ropeAt(config, input("positions", "i64", [2, "T"]), 64);
    const out = languageModel(model, input("ids", "i64", [2, "T"]), rope, { rows_L: input("rows", "i64", ["L"]) });
    const exe = await compile(toOnnx({ logits: out.logits }).bytes);
    const positions = i64(
      [2, 13],
      Array.from({ length: 26 }, (_, i) => i % 13),
    );
    const feeds: Record<string, HostTensor> = { ids: reference.get("input_ids")!, positions, rows: i64([2], [12, 25]) };
    for (const { name } of exe.inputs) feeds[name] ??= fixture.weights.get(name)!;
    const { logits } = await exe.run(feeds);
    const all = reference.get("logits")!.data as Float32Array;
    const V = config.vocab_size;
    expect(logits!.shape).toEqual([2, V]);
    expect(
      distance(logits!.data as Float32Array, Float32Array.of(...all.subarray(12 * V, 13 * V), ...all.subarray(25 * V))),
    ).toBeLessThan(1e-4);
  });
});
