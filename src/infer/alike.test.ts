/** A sequence gets the same bits in any company: every architecture, whatever is beside it, wherever its blocks lie, however its prompt is cut. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { SafetensorsFile } from "../checkpoint/index.ts";
import { parseConfig } from "../model/index.ts";
import { type OpenOptions, openDecoder } from "./decoder.ts";
import { type LanguageModel, type Line, type Pass, RUN } from "./engine.ts";
import { ModelEngine } from "./model-engine.ts";

const PARITY = fileURLToPath(new URL("../../test/fixtures/parity/", import.meta.url));
const NANO = fileURLToPath(new URL("../../models/nano/", import.meta.url));

const line = (
  ids: readonly number[],
  start: number,
  table: readonly number[],
  wants: Line["wants"] = "last",
): Line => ({
  ids,
  start,
  table,
  wants,
  temperature: 0.7,
});

const open = (dir: string, options: OpenOptions = {}) =>
  openDecoder(dir, parseConfig(JSON.parse(readFileSync(`${dir}/config.json`, "utf8"))), {
    drafts: "lookup",
    ...options,
  });

/** Logits and drawing weights of the first `count` rows from `row` on, as bits. */
async function bits(model: LanguageModel, pass: Pass, row = 0, count = 1): Promise<string[]> {
  const { logits, weights, logSums } = await model.run(pass);
  const V = model.vocabSize;
  return Array.from({ length: count }, (_, i) => {
    const own = (data: Float32Array, width: number) =>
      createHash("sha256")
        .update(Buffer.from(data.slice((row + i) * width, (row + i + 1) * width).buffer))
        .digest("hex")
        .slice(0, 16);
    return `${own(logits, V)} ${own(weights, RUN * Math.ceil(V / RUN))} ${logSums[row + i]}`;
  });
}

async function compare(
  dir: string,
  tokens: readonly number[],
  steps: number,
  cuts: readonly number[],
  options: OpenOptions = {},
  companies: readonly number[] = [0, 1, 6],
): Promise<void> {
  const model = await open(dir, options);
  const blocks = Math.ceil((tokens.length + 1) / 16) + 1;
  model.reserve(9 * blocks);
  const inRow = (k: number) => Array.from({ length: blocks }, (_, n) => 1 + k * blocks + n);
  const turned = (k: number) => inRow(k).reverse();
  const P = tokens.length - steps;
  const prompt = tokens.slice(0, P);
  const read = (at: readonly number[]) => bits(model, { kind: "read", lines: [line(prompt, 0, at, "all")] }, 0, P);
  const whole = await read(inRow(0));
  for (const cut of cuts) {
    const parts: string[] = [];
    for (let start = 0; start < P; start += cut) {
      const ids = prompt.slice(start, start + cut);
      // beside one that reads more and one that reads less
      const lines = [line(tokens, 0, inRow(2)), line(ids, start, turned(1), "all"), line([tokens[0]!], 0, inRow(3))];
      parts.push(...(await bits(model, { kind: "read", lines }, 1, ids.length)));
    }
    expect(parts, `cut by ${cut}`).toEqual(whole);
  }
  const alone: string[] = [];
  for (let t = P; t < tokens.length; t++)
    alone.push(...(await bits(model, { kind: "step", lines: [line([tokens[t]!], t, inRow(0))] })));
  for (const company of companies) {
    await read(turned(4));
    const beside: string[] = [];
    for (let t = P; t < tokens.length; t++) {
      const others = Array.from({ length: company }, (_, i) => line([tokens[i]!], 1 + ((7 * i) % P), inRow(2)));
      const pass: Pass = { kind: "step", lines: [...others, line([tokens[t]!], t, turned(4))] };
      beside.push(...(await bits(model, pass, company)));
    }
    expect(beside, `beside ${company}`).toEqual(alone);
  }
  // several steps in one pass, some of them with others that check more or fewer, and with ids behind them that are wrong
  for (const [ahead, company] of [
    [2, 0],
    [3, 1],
    [steps, 2],
  ] as const) {
    await read(turned(5));
    const checked: string[] = [];
    for (let t = P; t < tokens.length; ) {
      const count = Math.min(ahead, tokens.length - t);
      const others = Array.from({ length: company }, (_, i) =>
        line(tokens.slice(0, 1 + 3 * i), 1 + i, inRow(2 + i), "all"),
      );
      const skipped = others.reduce((sum, { ids }) => sum + ids.length, 0);
      const wrong = company === 0 ? [tokens[0]!] : [];
      const own = line([...tokens.slice(t, t + count), ...wrong], t, turned(5), "all");
      checked.push(...(await bits(model, { kind: "check", lines: [...others, own] }, skipped, count)));
      t += count;
    }
    expect(checked, `${ahead} at once beside ${company}`).toEqual(alone);
  }
  model.dispose();
}

test.each(readdirSync(PARITY))("%s", async (name) => {
  const file = await SafetensorsFile.open(`${PARITY}${name}/reference.safetensors`);
  const ids = await file.read("input_ids");
  await file.close();
  const tokens = Array.from(ids.data.slice(0, ids.shape[1]) as BigInt64Array, Number);
  await compare(PARITY + name, tokens, 6, [1, 3]);
  // rows rounded as they come: the same for all who see them
  if (!name.includes("-")) await compare(PARITY + name, tokens, 6, [3], { cache: "int8" });
  // experts, latents and key heads in blocks, of which a single row has a kernel of its own
  if (["deepseek_v3", "deepseek_v2", "qwen3_moe", "qwen2-tied"].includes(name))
    for (const weights of ["q4", "q8"] as const)
      await compare(PARITY + name, tokens, 6, [1, 3], { weights, keepPacked: false, deterministic: true });
});

describe("nano, beyond where products are cut", () => {
  const tokens = Array.from({ length: 332 }, (_, i) => (Math.imul(i + 7, 2654435761) >>> 9) % 1024);

  // 70: as many as go in lanes, a thread each
  test("bits", () => compare(NANO, tokens, 8, [75], {}, [0, 1, 6, 70]));

  test("answers alone, among many, with a cold or a warm cache, in chunks, and out of memory", async () => {
    const prompts = Array.from({ length: 12 }, (_, i) => tokens.slice(0, 20 + 13 * i));
    const request = { prompts, maxTokens: 24, seed: 5, n: 2 };
    const model = await open(NANO);
    const blockBytes = model.blockBytes;
    const engine = new ModelEngine(model);
    const all = await engine.sample(request);
    expect(await engine.sample(request), "warm").toEqual(all);
    expect(engine.blocks.held).toBe(0);
    await engine.close();
    const small = new ModelEngine(await open(NANO), { prefillTokens: 50, cacheBytes: 75 * blockBytes, maxActive: 9 });
    expect(await small.sample(request), "in chunks, few blocks").toEqual(all);
    await small.close();
    const single = new ModelEngine(await open(NANO), { maxActive: 1 });
    expect(await single.sample(request), "one by one").toEqual(all);
    await single.close();
  });
});
