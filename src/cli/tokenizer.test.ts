import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { main } from "./main.ts";

const dir = mkdtempSync(join(tmpdir(), "sumbi-cli-tokenizer-"));
const text = join(dir, "text.jsonl");
writeFileSync(text, ['{"text":"the sea, the sea, the open sea"}', "{broken", '{"text":"12 and 345"}'].join("\n"));
afterAll(() => rmSync(dir, { recursive: true }));

let out = "";
let err = "";
beforeEach(() => {
  out = err = "";
  vi.spyOn(process.stdout, "write").mockImplementation((chunk) => ((out += chunk), true));
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => ((err += chunk), true));
});
afterEach(() => vi.restoreAllMocks());

const run = (...args: string[]) => main(["node", "sumbi", "tokenizer", ...args]);

describe("sumbi tokenizer", () => {
  it("trains, then shows how a text is cut", async () => {
    const model = join(dir, "model");
    expect(
      await run("train", text, "--vocab-size", "280", "--digits", "1", "--out", model, "--skip-broken", "--json"),
    ).toBe(0);
    expect(err).toContain(`left out 1 line: 1 not JSON (first ${text}:2: expected JSON`);
    const result = JSON.parse(out);
    expect(result).toMatchObject({ out: model, skipped: 1 });
    expect(JSON.parse(readFileSync(join(model, "tokenizer_config.json"), "utf8")).eos_token).toBe(
      "<｜end▁of▁sentence｜>",
    );
    out = "";
    expect(await run("encode", model, "the sea 12<｜User｜>", "--json")).toBe(0);
    expect(JSON.parse(out).tokens).toEqual(["the", "Ġsea", "Ġ", "1", "2", "<｜User｜>"]);
    out = "";
    expect(await run("encode", model, "the sea")).toBe(0);
    expect(out).toMatch(/"the"\n.*" sea"\n2 tokens, 7 characters\n$/);
  });

  it("ends after ten seconds what a folder's expressions never end, as the server does", async () => {
    const model = join(dir, "endless");
    const file = fileURLToPath(new URL("../tokenizer/fixtures/digits/tokenizer.json", import.meta.url));
    const json = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    const endless = { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated", invert: false };
    mkdirSync(model);
    writeFileSync(join(model, "tokenizer.json"), JSON.stringify({ ...json, pre_tokenizer: endless }));
    expect(await run("encode", model, `${"a".repeat(60)}!`)).toBe(1);
    expect(err).toBe("error: tokenizer encode: ended, since it ran longer than 10 s\n");
  });

  it("ends with 1 for text that cannot be read, 2 for a wrong command line, and writes nothing", async () => {
    const model = join(dir, "none");
    expect(await run("train", text, "--vocab-size", "300", "--out", model)).toBe(1);
    expect(err).toContain(`${text}:2: expected JSON`);
    expect(await run("train", join(dir, "missing"), "--vocab-size", "300", "--out", model)).toBe(1);
    expect(await run("train", text, "--vocab-size", "many", "--out", model)).toBe(2);
    expect(await run("train", text, "--vocab-size", "300", "--digits", "2", "--out", model)).toBe(2);
    expect(await run("train", text, "--out", model)).toBe(2);
    expect(await run("encode", model, "x")).toBe(1);
    expect(existsSync(model)).toBe(false);
  });
});
