/** The model's own module as a source of guesses: right ones by the training graph, checked to the bit, and the same answers with it as without. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError } from "../errors.ts";
import {
  embed,
  listParameters,
  logits,
  type ModelConfig,
  modelBuilder,
  mtpModule,
  parseConfig,
  ropeFromStart,
  transformer,
  type Weight,
} from "../model/index.ts";
import { compile } from "../runtime/index.ts";
import { f32, type HostTensor, i64, input, reshape, slice, toOnnx, topK } from "../tensor/index.ts";
import { Decoder, openDecoder } from "./decoder.ts";
import { Drafts, type DraftsOptions } from "./drafts/drafts.ts";
import { type Guide, type LanguageModel, type Line, SAMPLING_DEFAULTS, type Scores } from "./engine.ts";
import { ModelEngine } from "./model-engine.ts";

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const NANO = at("models/nano");
const PARITY = at("test/fixtures/parity");
const DEPTH = (k: number) => at(`test/fixtures/mtp/depth-${k}`);
const jsonOf = (dir: string) => JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as Record<string, unknown>;
const configOf = (dir: string) => parseConfig(jsonOf(dir));
const scratch = mkdtempSync(join(tmpdir(), "sumbi-module-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A fixture's architecture with a module, and weights that look random. */
function madeUp(name: string): { config: ModelConfig; weights: Map<string, HostTensor<Float32Array>> } {
  const config = parseConfig({ ...jsonOf(join(PARITY, name)), num_nextn_predict_layers: 1 });
  let seed = 0;
  const weights = new Map<string, HostTensor<Float32Array>>();
  for (const { key, shape, sameAs } of listParameters(config)) {
    if (sameAs !== undefined) continue;
    const size = shape.reduce((a, b) => a * b, 1);
    const centre = key.includes("norm") && key.endsWith("weight") ? 1 : 0;
    const value = (i: number) => centre + Math.sin(12.9898 * i + 78.233 * seed) * (shape.length > 1 ? 0.4 : 0.1);
    weights.set(
      key,
      f32(
        shape,
        Float32Array.from({ length: size }, (_, i) => value(i)),
      ),
    );
    seed++;
  }
  return { config, weights };
}

/** What the module holds likeliest to follow ids 0 … n, for every n from 1, by the graph that trains it. */
async function likeliest(
  config: ModelConfig,
  weights: ReadonlyMap<string, HostTensor>,
  ids: readonly number[],
): Promise<number[]> {
  const T = ids.length - 1;
  const tokens = { B: 1, T, X: T };
  const model = modelBuilder(config);
  const all = input("ids", "i64", [1, T + 1]);
  const part = (from: number) => embed(model, reshape(slice(all, 1, from, from + T), [T]));
  const rope = ropeFromStart(config, 1, T);
  const { hidden_XD } = transformer(model, part(0), rope, tokens);
  const module = mtpModule(model, 1, part(1), hidden_XD, rope, tokens);
  const graph = toOnnx({ guess: topK(logits(model, module.hidden_XD), 1).indices });
  const executable = await compile(graph.bytes);
  const inputs = Object.fromEntries([...model.used.keys()].map((key) => [key, weights.get(key)!]));
  const { guess } = executable.runSync({ ...inputs, ids: i64([1, T + 1], ids) });
  executable.dispose();
  return Array.from(guess!.data as BigInt64Array, Number);
}

/** Two rows of scores, as bits. */
const bitsOf = ({ logits: all, weights, logSums }: Scores, V: number): string =>
  [
    Buffer.from(all.slice(0, 2 * V).buffer).toString("base64"),
    Buffer.from(weights.slice(0, 2 * V).buffer).toString("base64"),
    logSums.slice(0, 2).join(),
  ].join(" ");

const ARCHITECTURES = [
  "deepseek_v3",
  "deepseek_v3-no-q-rank",
  "deepseek_v3-odd-sizes",
  "deepseek_v3-yarn",
  "deepseek_v32",
  "deepseek_v32-yarn",
];
describe.each(ARCHITECTURES)("%s", (name) => {
  const { config, weights } = madeUp(name);
  const ids = Array.from({ length: 40 }, (_, i) => (Math.imul(i + 3, 2654435761) >>> 9) % config.vocab_size);

  test("guesses what its module holds likeliest, and checks it with the bits of a check", async () => {
    const expected = await likeliest(config, weights, ids);
    const model = await Decoder.create(config, weights as unknown as Map<string, Weight>, {
      drafts: "mtp",
      frozen: true,
    });
    model.reserve(12);
    const [table, other] = [
      [3, 1, 2],
      [5, 6, 4],
    ];
    const line = (own: readonly number[], start: number, more: Partial<Line> = {}): Line => ({
      ...{ ids: own, start, table, wants: "all", temperature: 0.7 },
      ...more,
    });
    const P = 17;
    for (const blocks of [table, other])
      await model.run({ kind: "read", lines: [line(ids.slice(0, P), 0, { table: blocks, wants: "none" })] });
    // the module has seen nothing first, then all but the last two, and lags behind where steps were made
    let seenTo = 0;
    for (let n = P; n < ids.length - 1; n++) {
      if (n % 7 === 0) {
        for (const blocks of [table, other])
          await model.run({ kind: "step", lines: [line([ids[n]!], n, { table: blocks })] });
        continue;
      }
      const seen = ids.slice(Math.min(seenTo, n - 1), n + 1);
      const drafted = await model.run({ kind: "draft", lines: [line([ids[n]!], n, { seen })] });
      seenTo = n + 1;
      const [guess] = drafted.guesses!;
      expect(guess, `after ${n}`).toBe(expected[n - 1]);
      const bits = bitsOf(drafted, config.vocab_size);
      const checked = await model.run({ kind: "check", lines: [line([ids[n]!, guess!], n, { table: other })] });
      expect(bits === bitsOf(checked, config.vocab_size), `bits after ${n}`).toBe(true);
    }
    model.dispose();
  });
});

/** Asks the module whenever it can be asked. */
const eager: DraftsOptions["pace"] = () => ({
  choose: (ways) => ways.at(-1),
  took: () => undefined,
  learn: () => undefined,
  stepSeconds: undefined,
});
const byModule = (model: LanguageModel) =>
  new Drafts(model.vocabSize, { guesser: () => undefined, module: true, pace: eager });

/** Lets even ids come, and odd ones. */
const parity = (): Guide => {
  let odd = 0;
  const bits = [0x55555555, 0xaaaaaaaa].map((word) => new Uint32Array(32).fill(word));
  return {
    ready: () => undefined,
    allowed: () => bits[odd]!,
    accept: () => void (odd = 1 - odd),
  };
};

describe("nano", () => {
  const prompt = [0, 4, 300, 25, 9, 77, 500, 12, 40, 41, 42, 43, 300, 25, 9, 77, 5, 6, 7, 8, 9];
  test.each(["f32", "int8"] as const)(
    "the same answers, log-probabilities and ends with a cache in %s",
    async (cache) => {
      const model = await openDecoder(NANO, configOf(NANO), { drafts: "mtp", weights: "f32", cache });
      const drafts = byModule(model);
      const guided = async (engine: ModelEngine) => {
        const sampling = { ...SAMPLING_DEFAULTS, seed: 3 };
        const out: { id: number; logprob?: number | undefined }[] = [];
        const request = { prompt, maxTokens: 12, sampling, stopIds: [], logprobs: 0, guide: parity() };
        for await (const { id, logprob } of engine.generate(request)) out.push({ id, logprob });
        return out;
      };
      const ask = async (engine: ModelEngine) => ({
        forks: await engine.sample({ prompts: [prompt], n: 3, maxTokens: 20, seed: 5 }),
        greedy: await engine.sample({ prompts: [prompt], maxTokens: 24, seed: 5, sampling: { temperature: 0 } }),
        guided: await guided(engine),
      });
      const plain = await ask(new ModelEngine(model));
      const engine = new ModelEngine(model, { drafts });
      expect(await ask(engine)).toEqual(plain);
      expect(await ask(engine), "with the prompt remembered").toEqual(plain);
      expect(engine.blocks.held).toBe(0);
      expect(drafts.statistics.accepted).toBeGreaterThan(10);
      await engine.close();
    },
  );
});

test("weights that move: what is drawn is the new ones'", async () => {
  const { config, weights } = madeUp("deepseek_v3");
  const source = { version: 0, get: (key: string) => weights.get(key) };
  const model = await Decoder.create(config, source, { drafts: "mtp" });
  const engine = new ModelEngine(model, { drafts: byModule(model) });
  const ask = { prompts: [[1, 2, 3, 4, 5, 6]], maxTokens: 20, seed: 1, sampling: { temperature: 0 } };
  const before = await engine.sample(ask);
  for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! *= 1 + 0.3 * Math.sin(i);
  source.version++;
  const after = await engine.sample(ask);
  expect(after[0]!.ids).not.toEqual(before[0]!.ids);
  const fresh = new ModelEngine(await Decoder.create(config, source));
  expect(after[0]!.ids).toEqual((await fresh.sample(ask))[0]!.ids);
  await engine.close();
  await fresh.close();
});

describe("where the module comes from", () => {
  test("the first of two, in blocks that are kept on disk too", async () => {
    const dir = join(scratch, "two");
    cpSync(DEPTH(2), dir, { recursive: true });
    for (const when of ["packed now", "kept"]) {
      const model = await openDecoder(dir, configOf(dir), { drafts: "auto", weights: "q8", keepPacked: true });
      expect(model.drafts, when).toBe(true);
      const engine = new ModelEngine(model, { drafts: byModule(model) });
      await engine.sample({ prompts: [[1, 2, 3]], maxTokens: 8, seed: 1 });
      expect(engine.drafts!.guessed, when).toBeGreaterThan(2);
      await engine.close();
    }
    const plain = await openDecoder(dir, configOf(dir), { weights: "q8", keepPacked: true });
    expect(plain.drafts).toBe(false);
    plain.dispose();
  });

  test("one that the files lack, or have otherwise than it is built, is done without and told of; asked for by name it is refused", async () => {
    const dir = join(scratch, "none");
    cpSync(join(PARITY, "deepseek_v3"), dir, { recursive: true });
    writeFileSync(join(dir, "config.json"), JSON.stringify({ ...jsonOf(dir), num_nextn_predict_layers: 1 }));
    const model = await openDecoder(dir, configOf(dir), { drafts: "auto" });
    expect(model.drafts).toBe(false);
    expect(model.checks).toBe(true);
    expect(model.notes.join()).toMatch(/the module for multi-token prediction cannot be used: .*expected a tensor/);
    model.dispose();
    for (const from of [dir, join(PARITY, "llama")])
      await expect(openDecoder(from, configOf(from), { drafts: "mtp" })).rejects.toThrow(ConfigError);
  });
});
