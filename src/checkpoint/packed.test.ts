/** Packed weights on disk: the same numbers as packed in memory, found again, made anew where damaged or stale, nobody else's files touched. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, expect, test } from "vitest";
import { parseConfig, tensorForm, type Weight } from "../model/index.ts";
import { keptWeights } from "./packedPlaces.ts";
import { loadWeights } from "./weights.ts";

const FIXTURE = fileURLToPath(new URL("../../test/fixtures/parity/deepseek_v3/", import.meta.url));
const config = parseConfig(JSON.parse(readFileSync(`${FIXTURE}config.json`, "utf8")));
const root = mkdtempSync(join(tmpdir(), "sumbi-packed-"));
let model: string;
let count = 0;
const before = process.env.SUMBI_CACHE;

beforeEach(() => {
  model = join(root, `model-${count++}`);
  mkdirSync(model);
  for (const name of ["config.json", "model.safetensors"]) cpSync(FIXTURE + name, join(model, name));
  process.env.SUMBI_CACHE = join(root, `cache-${count}`);
});
afterAll(() => {
  if (before === undefined) delete process.env.SUMBI_CACHE;
  else process.env.SUMBI_CACHE = before;
  rmSync(root, { recursive: true, force: true });
});

const beside = () => join(model, ".sumbi-packed");
async function kept(form: "q4" | "q8" = "q4") {
  const found = await keptWeights(model, config, form);
  if (found === undefined) throw new Error("expected packed weights to be kept");
  return found;
}
const plain = (weights: ReadonlyMap<string, Weight>) =>
  [...weights].map(([key, weight]) =>
    weight.dtype === "blocks"
      ? [key, weight.bits, weight.shape, [...weight.codes], [...weight.scales]]
      : [key, weight.shape, [...(weight.data as Float32Array)]],
  );

test.each(["q4", "q8"] as const)("%s: made once, the same as in memory, and found by the next start", async (form) => {
  const inMemory = await loadWeights(model, config, { form: (key, shape) => tensorForm(form, key, shape) });
  const first = await kept(form);
  expect(first.made).toBe(true);
  expect(first.dir.startsWith(beside())).toBe(true);
  expect(plain(first.weights)).toEqual(plain(inMemory.weights));
  expect([...first.weights.values()].filter((weight) => weight.dtype === "blocks").length).toBeGreaterThan(20);
  const second = await kept(form);
  expect(second.made).toBe(false);
  expect(plain(second.weights)).toEqual(plain(inMemory.weights));
  expect(second.notes).toEqual(inMemory.notes);
});

test("damage anywhere is noticed, and what was damaged is made anew", async () => {
  const { dir, weights } = await kept();
  const right = plain(weights);
  const path = join(dir, "weights.safetensors");
  const whole = readFileSync(path);
  for (const at of [9, whole.length - 1, Math.floor(whole.length / 2)]) {
    const damaged = Uint8Array.from(whole);
    damaged[at]! ^= 1;
    writeFileSync(path, damaged);
    const again = await kept();
    expect([again.made, plain(again.weights)]).toEqual([true, right]);
  }
  for (const cut of [0, 7, 100, whole.length - 3]) {
    writeFileSync(path, whole.subarray(0, cut));
    expect((await kept()).made).toBe(true);
  }
  for (const text of ["", "{}", "[", '{"version":1}']) {
    writeFileSync(join(dir, "packed.json"), text);
    expect((await kept()).made).toBe(true);
  }
  expect((await kept()).made).toBe(false);
});

test("numbers that are not finite are refused, whatever the checksum says", async () => {
  const { dir } = await kept();
  const path = join(dir, "weights.safetensors");
  const about = JSON.parse(readFileSync(join(dir, "packed.json"), "utf8")) as { checksums: Record<string, number> };
  const bytes = readFileSync(path);
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
  const key = "model.norm.weight";
  const [begin, end] = header[key].data_offsets as [number, number];
  const start = 8 + Number(bytes.readBigUInt64LE()) + begin;
  bytes.writeFloatLE(NaN, start);
  const { crc32 } = await import("node:zlib");
  about.checksums[key] = crc32(bytes.subarray(start, start + end - begin));
  writeFileSync(path, bytes);
  writeFileSync(join(dir, "packed.json"), JSON.stringify(about));
  expect((await kept()).made).toBe(true);
});

test("a checkpoint that changed is packed anew, and what was packed of it before goes", async () => {
  const old = await kept();
  const other = await kept("q8");
  utimesSync(join(model, "model.safetensors"), new Date(), new Date(1e12));
  const now = await kept();
  expect([now.made, now.dir === old.dir]).toEqual([true, false]);
  expect([existsSync(old.dir), existsSync(other.dir)]).toEqual([false, true]);
});

test("files that are not Sumbi's stay, and packed weights go to the user's cache", async () => {
  const { dir } = await kept();
  rmSync(dir, { recursive: true });
  mkdirSync(dir);
  writeFileSync(join(dir, "letters.txt"), "mine");
  const found = await kept();
  expect(found.dir.startsWith(join(process.env.SUMBI_CACHE!, "packed"))).toBe(true);
  expect(readdirSync(dir)).toEqual(["letters.txt"]);
  expect((await kept()).made).toBe(false);
  // and notes beside ours are left when the checkpoint changes
  utimesSync(join(model, "model.safetensors"), new Date(), new Date(1e12));
  await kept();
  expect(readFileSync(join(dir, "letters.txt"), "utf8")).toBe("mine");
});

test("a link in a stranger's folder is not followed", async () => {
  const elsewhere = join(root, `elsewhere-${count}`);
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, beside());
  const found = await kept();
  expect(found.dir.startsWith(process.env.SUMBI_CACHE!)).toBe(true);
  expect(readdirSync(elsewhere)).toEqual([]);
});

test("where nothing can be written there is none, and the reasons are told", async () => {
  writeFileSync(beside(), "a file");
  writeFileSync(process.env.SUMBI_CACHE!, "a file too");
  const reasons: string[] = [];
  expect(await keptWeights(model, config, "q4", {}, (reason) => reasons.push(reason))).toBeUndefined();
  expect(reasons.length).toBe(1);
});

test("what is wrong with the checkpoint is said as ever", async () => {
  appendFileSync(join(model, "model.safetensors"), "x");
  await expect(keptWeights(model, config, "q4")).rejects.toThrow("1 bytes at the end belong to no tensor");
  expect(existsSync(beside()) ? readdirSync(beside()) : []).toEqual([]);
  expect(statSync(join(model, "config.json")).isFile()).toBe(true);
});
