import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test, vi } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { main } from "./main.ts";
import { writeOutput } from "./output.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let dir = "";
let path = "";
let err = "";
beforeEach(() => {
  mkdirSync((dir = join(temporary.dir, String(count++))));
  path = join(dir, "file");
  err = "";
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => ((err += chunk), true));
});
afterEach(() => vi.restoreAllMocks());

const ours = (text: string) => text.startsWith("ours");
const write = (text: string) => writeOutput("--markdown", path, text, ours);
const run = (...args: string[]) => main(["node", "sumbi", ...args]);

test("a new file, an empty one and one of our own are written", () => {
  write("ours 1");
  write("ours 2");
  expect(readFileSync(path, "utf8")).toBe("ours 2");
  writeFileSync(path, "");
  write("ours 3");
  expect(readFileSync(path, "utf8")).toBe("ours 3");
  expect(readdirSync(dir)).toEqual(["file"]);
});

test("through a link, which stays one", () => {
  writeFileSync(join(dir, "real"), "ours");
  symlinkSync("real", path);
  write("ours too");
  expect(readFileSync(join(dir, "real"), "utf8")).toBe("ours too");
  expect(lstatSync(path).isSymbolicLink()).toBe(true);
});

test("anybody else's file, or a folder, is left alone", () => {
  writeFileSync(path, "a thesis");
  expect(() => write("ours")).toThrow(
    /--markdown .*file: exists and holds something else; it was left alone\. Choose another name/,
  );
  expect(readFileSync(path, "utf8")).toBe("a thesis");
  path = dir;
  expect(() => write("ours")).toThrow(/found a folder/);
  path = join(dir, "gone", "x");
  expect(() => write("ours")).toThrow(/cannot be written \(ENOENT\)/);
  expect(readdirSync(dir)).toEqual(["file"]);
});

const STEP = "plan llama-3.1-8b --tokens 1T --gpus 64 --batch 512 --schedule 1f1b --layout tp=1,pp=4".split(" ");

test.each([
  ["audit", ["audit", "deepseek-v3", "--markdown"]],
  ["trace", [...STEP, "--trace"]],
  ["timeline", [...STEP, "--timeline"]],
])("%s: a second time over its own, never over a README", async (_, args) => {
  expect(await run(...args, path)).toBe(0);
  const first = readFileSync(path, "utf8");
  writeFileSync(path, `${first.slice(0, 2000)}cut`);
  expect(await run(...args, path)).toBe(0);
  expect(readFileSync(path, "utf8")).toBe(first);
  writeFileSync(path, "# My README\n");
  expect(await run(...args, path)).toBe(1);
  expect(err).toMatch(/file: exists and holds something else/);
  expect(readFileSync(path, "utf8")).toBe("# My README\n");
});

test("tokenizer train: into a new folder, over its own only when asked, never into a model", async () => {
  writeFileSync(path, "");
  const text = join(dir, "text.txt");
  writeFileSync(text, "the sea, the sea, the open sea ".repeat(50));
  const out = join(dir, "tok");
  const train = (...more: string[]) => run("tokenizer", "train", text, "--vocab-size", "280", "--out", ...more);
  expect(await train(out)).toBe(0);
  expect(JSON.parse(readFileSync(join(out, "sumbi.json"), "utf8"))).toMatchObject({
    kind: "tokenizer",
    files: [{ name: "tokenizer.json" }, { name: "tokenizer_config.json" }],
  });
  expect(await train(out)).toBe(1);
  expect(err).toMatch(
    /tok: holds a tokenizer that Sumbi put there\. Choose another folder with --out, or replace that tokenizer with --overwrite/,
  );
  writeFileSync(join(out, "NOTES.md"), "mine");
  expect(await train(out, "--overwrite")).toBe(0);
  expect(readFileSync(join(out, "NOTES.md"), "utf8")).toBe("mine");
  const model = join(dir, "model");
  mkdirSync(model);
  for (const name of ["config.json", "tokenizer.json"]) writeFileSync(join(model, name), "{}");
  expect(await train(model, "--overwrite")).toBe(1);
  expect(readFileSync(join(model, "tokenizer.json"), "utf8")).toBe("{}");
  expect(await train("")).toBe(2);
  expect(existsSync(join(dir, "gone"))).toBe(false);
});
