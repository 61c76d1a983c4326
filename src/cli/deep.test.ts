import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { printed } from "../../test/support/cli.ts";
import { main } from "./main.ts";

const LISTS = "[".repeat(100_000) + "]".repeat(100_000);
const OBJECTS = '{"a":'.repeat(100_000) + "1" + "}".repeat(100_000);
const folder = temporaryFolder();
writeFiles(folder.dir, {
  "config.json": `{"model_type": "deepseek_v3", "hidden_size": ${LISTS}}`,
  "lists.json": LISTS,
  "objects.json": OBJECTS,
  "claim.json": `{"name": ${OBJECTS}}`,
  "commented.jsonc": `// a recipe\n{"name": "deep", /* " */ "model": ${LISTS}}`,
  "tokenizer.json": `{"model": ${OBJECTS}}`,
  "texts.jsonl": `{"text": ${LISTS}}\n`,
});
const at = (name: string): string => join(folder.dir, name);
afterAll(() => folder[Symbol.dispose]());

async function run(...args: string[]): Promise<{ status: number; errors: string }> {
  const { result, err } = await printed(() => main(["node", "sumbi", ...args]));
  return { status: result, errors: err };
}

test.each<[string, ...string[]]>([
  ["train", at("commented.jsonc"), "--no-web"],
  ["train", at("objects.json"), "--no-web"],
  ["train", at("lists.json"), "--no-web"],
  ["train", "tiny", "--no-web", "--set", `model=${LISTS.slice(90_000, 110_000)}`],
  ["train", "tiny", "--no-web", "--set", `${"a.".repeat(10_000)}a=1`],
  ["inspect", at("config.json")],
  ["inspect", folder.dir],
  ["plan", at("config.json"), "--tokens", "1T", "--chip", "h100", "--gpus", "8"],
  ["plan", "deepseek-v3", "--tokens", "1T", "--chip", at("objects.json"), "--gpus", "8"],
  ["compare", at("config.json"), "--tokens", "1T", "--gpus", "8"],
  ["audit", at("claim.json")],
  ["serve", folder.dir, "--port", "0"],
  ["chat", folder.dir],
  ["tokenizer", "encode", folder.dir, "hi"],
])("%s refuses JSON of 100,000 levels in one line", async (...args) => {
  const { status, errors } = await run(...args);
  expect(errors).toMatch(/^(\x1b\[\d+m)?error:(\x1b\[\d+m)? .*(nested deeper than 128 levels|at most 128 parts).*\n$/);
  expect(errors.length).toBeLessThan(400);
  expect(status).toBe(1);
});

test.each([
  ["serve", "nano"],
  ["train", "tiny"],
])("%s: a port that is none is refused at once", async (...args) => {
  for (const port of ["abc", "-1", "65536", "80.5", "1e3", "", " 80", "0x50"]) {
    const { status, errors } = await run(...args, `--port=${port}`);
    expect([port, errors, status]).toEqual([
      port,
      expect.stringContaining(`--port: expected a number from 0 to 65535, got ${port}`),
      2,
    ]);
  }
});

test("a recipe of a hundred thousand slips is refused by the first of them", async () => {
  writeFiles(folder.dir, { "slips.jsonc": `{"a": [${"1 2 ".repeat(50_000)}]}` });
  const { status, errors } = await run("train", at("slips.jsonc"), "--no-web");
  expect(status).toBe(1);
  expect(errors).toMatch(/slips\.jsonc: not JSON:\n {2}1:10: CommaExpected\n/);
  expect(errors).toMatch(/ {2}and \d{5,} more\n?$/);
  expect(errors.split("\n").length).toBeLessThan(10);
});
