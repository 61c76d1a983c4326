import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { outputOf } from "../../test/support/cli.ts";
import { resolveModel } from "../checkpoint/index.ts";
import { parametersInWords } from "../format.ts";
import { summarizeParameters } from "../model/index.ts";
import { readRecipe } from "../runs/index.ts";
import { loadServed } from "../serve/load.ts";
import { parseRecipe, phasesOf } from "../train/index.ts";
import { inspect, register } from "./inspect.ts";

const fixture = fileURLToPath(new URL("../../test/fixtures/parity/deepseek_v3", import.meta.url));

const run = (...args: string[]): Promise<string> => outputOf([register], ["inspect", ...args]);

describe("sumbi inspect", () => {
  it("says what DeepSeek-V3 is", async () => {
    const out = await run("deepseek-v3");
    expect(out).toMatch(/layers\s+61 \(3 dense, 58 mixture of experts \+ 1 MTP\)/);
    expect(out).toMatch(/experts\s+8 of 256 routed, from 4 of 8 groups, \+ 1 shared/);
    expect(out).toMatch(/size\s+671\.0B parameters, 36\.6B active per token, \+ 11\.6B in MTP modules\n/);
    expect(out).toMatch(/sum\s+671\.0B\s+36\.6B\n\s+in MTP modules\s+\+ 11\.6B\n/);
    expect(out).toMatch(/training\s+250\.5 GFLOP/);
    expect(out).toMatch(/cache per token\s+70\.3 kB/);
  });

  it("reads a folder and lists its files", async () => {
    const report = await inspect(fixture, 128);
    expect(report.tensors).toEqual({
      expected: report.tensors.withMtp,
      withMtp: report.tensors.withMtp,
      inFiles: report.tensors.expected,
    });
    expect(report.layers).toEqual({ total: 2, dense: 1, moe: 1, mtp: 0 });
    expect(report.files!.map(({ name }) => name).sort()).toEqual([
      "about.json",
      "config.json",
      "model.safetensors",
      "reference.safetensors",
    ]);
    const weights = report.files!.find(({ name }) => name === "model.safetensors")!.bytes;
    expect(weights).toBeGreaterThan(report.weightBytes.f32);
  });

  it("answers for 4,096 layers of 65,536 experts, and says that the files hold another model", async () => {
    const dir = mkdtempSync(join(tmpdir(), "sumbi-"));
    cpSync(fixture, dir, { recursive: true });
    const config = JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as object;
    writeFileSync(
      join(dir, "config.json"),
      JSON.stringify({ ...config, num_hidden_layers: 4096, n_routed_experts: 65_536 }),
    );
    const { tensors, layers, parameters } = await inspect(dir, 128);
    expect(layers).toEqual({ total: 4096, dense: 1, moe: 4095, mtp: 0 });
    expect(tensors.expected).toBeGreaterThan(4095 * 65_536 * 3);
    expect(parameters.total).toBeGreaterThan(4095 * 65_536);
    const out = await run(dir);
    expect(out).toContain(
      `expected ${tensors.expected} tensors by config.json, the files hold ${tensors.inFiles}: this is not the whole model`,
    );
    writeFileSync(join(dir, "model.safetensors"), "nonsense");
    expect(await run(dir)).toMatch(/model\.safetensors: /);
  });

  it("counts a tied embedding once", async () => {
    const out = await run("qwen2.5-1.5b");
    expect(out).toMatch(/size\s+1\.5B parameters, 1\.5B active per token\n/);
    expect(out).toMatch(/embedding, also head\s+233\.4M\s+233\.4M\n/);
    expect(out).not.toMatch(/^ {2}head {2}.*233/m);
  });

  it("says nano's size as the server, a run and its own page do", async () => {
    const words = /\d+\.\dM parameters, \d+\.\dM active per token, \+ \d+\.\dM in (?:MTP modules|its MTP module)/;
    const said = words.exec(await run(resolveModel("nano")))![0];
    const language = {
      vocabSize: 1024,
      contextTokens: 64,
      blockBytes: 1,
      reserve: () => undefined,
      copyBlock: () => undefined,
      clearBlock: () => undefined,
      run: () => Promise.reject(new Error("nobody asks it")),
    };
    const served = await loadServed(resolveModel("nano"), async () => language);
    expect(parametersInWords(served.info.parameters)).toBe(said);
    await served.engine.close();
    const [phase] = phasesOf(
      parseRecipe(readRecipe("nano").json),
      readRecipe("nano").json.model as Record<string, unknown>,
    );
    expect(parametersInWords(summarizeParameters(phase!.config))).toBe(said);
    expect(
      words
        .exec(readFileSync(join(resolveModel("nano"), "README.md"), "utf8"))![0]
        .replace("its MTP module", "MTP modules"),
    ).toBe(said);
  });

  it("prints JSON", async () => {
    const report = JSON.parse(await run("qwen3-8b", "--json", "--sequence", "100")) as {
      parameters: { total: number };
    };
    expect(report.parameters.total).toBe(8_190_735_360);
  });

  it("refuses what it cannot read, saying what came", async () => {
    await expect(run("no-such-model")).rejects.toThrow("got no-such-model");
    await expect(run("deepseek-v3", "--sequence", "-3")).rejects.toThrow(
      "--sequence: expected a positive whole number, got -3",
    );
    const dir = mkdtempSync(join(tmpdir(), "sumbi-"));
    await expect(run(dir)).rejects.toThrow("expected a Hugging Face folder with a config.json, it has none");
    writeFileSync(join(dir, "config.json"), "{");
    await expect(run(dir)).rejects.toThrow("config.json: expected JSON");
  });
});
