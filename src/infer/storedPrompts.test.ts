/** Prompts kept beyond memory: what comes back from disk gives the bits that reading gives, over every architecture, and damage costs time only. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fakeModel, hashLogits } from "../../test/support/fake-model.ts";
import { parseConfig } from "../model/index.ts";
import { type OpenOptions, openDecoder } from "./decoder.ts";
import { type GeneratedToken, type LanguageModel, SAMPLING_DEFAULTS } from "./engine.ts";
import { ModelEngine, type ModelEngineOptions } from "./model-engine.ts";
import { StoredPrompts } from "./storedPrompts.ts";

const PARITY = fileURLToPath(new URL("../../test/fixtures/parity/", import.meta.url));

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "sumbi-prompts-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function engineOf(from: string, options: OpenOptions & ModelEngineOptions = {}) {
  const config = parseConfig(JSON.parse(readFileSync(`${from}/config.json`, "utf8")));
  const model = await openDecoder(from, config, { identify: true, keepPacked: false, ...options });
  const stored = await StoredPrompts.open(model, { dir, bytes: 1e8 });
  return { engine: new ModelEngine(model, { ...options, stored }), config };
}

/** What came of a prompt, log-probabilities to the bit, and how much of it was not read. */
async function answer(engine: ModelEngine, prompt: readonly number[], maxTokens = 6) {
  const sampling = { ...SAMPLING_DEFAULTS, seed: 3 };
  const tokens: GeneratedToken[] = [];
  for await (const token of engine.generate({ prompt, maxTokens, sampling, stopIds: [], logprobs: 1 }))
    tokens.push(token);
  return { tokens: tokens.map(({ id, logprob }) => `${id} ${logprob}`), cached: tokens[0]?.cachedTokens };
}

const promptOf = (length: number, vocabSize: number, seed = 1) =>
  Array.from({ length }, (_, i) => (Math.imul(i + 17 * seed, 2654435761) >>> 7) % vocabSize);

/** Every fixture, or one of each architecture. */
const NAMES = readdirSync(PARITY).filter((name) => process.env.SUMBI_TEST === "full" || !name.includes("-"));

test.each(NAMES)("%s: from disk = read", async (name) => {
  const run = async (options: OpenOptions = {}) => {
    const { engine, config } = await engineOf(PARITY + name, options);
    const got = await answer(engine, promptOf(45, config.vocab_size));
    await engine.close();
    return got;
  };
  const fresh = await run();
  expect(fresh.cached).toBe(0);
  expect(await run(), "from disk").toEqual({ ...fresh, cached: 32 });
  // other weights, other bits: nothing of it is theirs
  if (name === "deepseek_v3") expect((await run({ weights: "q8" })).cached).toBe(0);
});

describe("a folder that others were at", () => {
  const NANO = fileURLToPath(new URL("../../models/nano/", import.meta.url));
  const lengths = [100, 137, 300];

  test.runIf(process.env["SUMBI_TEST"] === "full")(
    "damage, half prompts, few blocks in memory, many at once",
    async () => {
      const all = async (engine: ModelEngine) => {
        const got = await Promise.all(lengths.map((length, i) => answer(engine, promptOf(length, 1024, i))));
        await engine.close();
        return got;
      };
      const fresh = await all((await engineOf(NANO)).engine);
      const cached = (got: Awaited<ReturnType<typeof all>>) => got.map((one) => one.cached);
      const tokens = (got: Awaited<ReturnType<typeof all>>) => got.map((one) => one.tokens);
      const warm = await all((await engineOf(NANO, { prefillTokens: 20, cacheBytes: 1 })).engine);
      expect(tokens(warm)).toEqual(fresh.map((one) => one.tokens));
      expect(cached(warm)).toEqual(lengths.map((length) => 16 * Math.floor((length - 1) / 16)));
      const files = readdirSync(dir);
      expect(files).toHaveLength(lengths.reduce((sum, length) => sum + Math.floor(length / 16), 0));
      for (const [i, file] of files.entries()) {
        const path = join(dir, file);
        const bytes = readFileSync(path);
        if (i % 4 === 0) writeFileSync(path, bytes.subarray(0, (i * 977) % bytes.length));
        else if (i % 4 === 1) writeFileSync(path, bytes.fill(i, 200, 204));
      }
      const mended = await all((await engineOf(NANO)).engine);
      expect(tokens(mended)).toEqual(fresh.map((one) => one.tokens));
      expect(cached(mended)).not.toEqual(cached(warm));
      expect(cached(await all((await engineOf(NANO)).engine)), "what was damaged was replaced").toEqual(cached(warm));
    },
  );

  test("a model with one number changed finds nothing there", async () => {
    const other = join(dir, "other");
    cpSync(NANO, other, { recursive: true });
    const name = readdirSync(other).find((file) => file.endsWith(".safetensors")) ?? "";
    const prompt = promptOf(100, 1024);
    const cachedBy = async (from: string) => {
      const { engine } = await engineOf(from);
      const { cached } = await answer(engine, prompt);
      await engine.close();
      return cached;
    };
    expect([await cachedBy(other), await cachedBy(NANO)]).toEqual([0, 96]);
    const bytes = readFileSync(join(other, name));
    bytes[8 + Number(bytes.readBigUInt64LE(0))]! ^= 1;
    writeFileSync(join(other, name), bytes);
    expect(await cachedBy(other)).toBe(0);
  });
});

/** The fake model with blocks that can be kept. */
function keeping(delayMs?: number): LanguageModel & { version: number; counts: { tokens: number } } {
  const model = fakeModel(hashLogits, { delayMs });
  return Object.assign(model, {
    stored: {
      bytes: 64,
      identity: async () => "fake",
      read: (block: number) => new Uint8Array(Int32Array.from(model.blocks[block] ?? []).buffer),
      write: (block: number, bytes: Uint8Array) =>
        void (model.blocks[block] = [...new Int32Array(bytes.buffer, bytes.byteOffset, 16)]),
    },
  });
}

test("aborted while its blocks are on their way, a sequence leaves nothing behind; weights that move end the keeping", async () => {
  const open = async (model: LanguageModel) =>
    new ModelEngine(model, { stored: await StoredPrompts.open(model, { dir, bytes: 1e6 }) });
  const prompt = promptOf(200, 256);
  const first = await open(keeping());
  const { tokens } = await answer(first, prompt);
  await first.close();
  const model = keeping(1);
  const engine = await open(model);
  for (let turn = 0; turn < 20; turn++) {
    const left = new AbortController();
    const asked = (async () => {
      const sampling = { ...SAMPLING_DEFAULTS, seed: 3 };
      for await (const _ of engine.generate({ prompt, maxTokens: 2, sampling, stopIds: [] }, left.signal));
    })();
    await new Promise((resolve) => setTimeout(resolve, turn % 5));
    left.abort(new Error("gone"));
    await asked.catch(() => {});
  }
  expect(engine.blocks.held).toBe(0);
  expect(await answer(engine, prompt)).toEqual({ tokens, cached: 192 });
  expect(model.counts.tokens).toBeLessThan(400);
  model.version++;
  expect(await answer(engine, prompt)).toEqual({ tokens, cached: 0 });
  await engine.close();
});
