/** A folder of blocks: what is damaged is not there, what is not ours stays, and all of it keeps its bounds whoever else writes. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BlockFolder, isBlockName } from "./blockFolder.ts";
import { chainOf, digest, openBlockStore } from "./blockStore.ts";

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "sumbi-blocks-"))));
afterEach(() => {
  vi.useRealTimers();
  rmSync(dir, { recursive: true, force: true });
});

const keyOf = (n: number) => digest("test", String(n));
const blockOf = (n: number, length = 100) => Uint8Array.from({ length }, (_, i) => (i * 7 + n) % 256);
const fileOf = (n: number) => join(dir, readdirSync(dir).find((name) => name.startsWith(keyOf(n))) ?? "");
/** Sets when a block was used last, in seconds from now. */
const age = (n: number, seconds: number) =>
  utimesSync(fileOf(n), Date.now() / 1000 - seconds, Date.now() / 1000 - seconds);
const HEADER = 32;

test("a block comes back as it was, to another process too, and to no other key or length", () => {
  new BlockFolder(dir, 1e6).write(keyOf(1), blockOf(1), 0);
  const folder = new BlockFolder(dir, 1e6);
  expect(folder.read(keyOf(1), 100, 0)).toEqual(blockOf(1));
  expect(folder.read(keyOf(1), 99, 0)).toBeUndefined();
  expect(folder.read(keyOf(2), 100, 0)).toBeUndefined();
  expect(readdirSync(dir).every(isBlockName)).toBe(true);
});

test("whatever happens to its file, a block is as it was or not there, and can be written anew", () => {
  const folder = new BlockFolder(dir, 1e6);
  const harm = fc.oneof(
    fc.record({ at: fc.nat(131), xor: fc.integer({ min: 1, max: 255 }) }),
    fc.record({ cut: fc.nat(131) }),
    fc.record({ more: fc.uint8Array({ minLength: 1, maxLength: 50 }) }),
    fc.record({ bytes: fc.uint8Array({ minLength: 132, maxLength: 132 }) }),
    fc.constant({ other: true }),
  );
  fc.assert(
    fc.property(harm, (how) => {
      folder.write(keyOf(1), blockOf(1), 0);
      folder.write(keyOf(2), blockOf(2), 0);
      const whole = readFileSync(fileOf(1));
      let bytes: Uint8Array = Buffer.from(whole);
      if ("at" in how) bytes[how.at]! ^= how.xor;
      else if ("cut" in how) bytes = bytes.subarray(0, how.cut);
      else if ("more" in how) bytes = Buffer.concat([bytes, how.more]);
      else if ("bytes" in how) bytes = how.bytes;
      else bytes = readFileSync(fileOf(2));
      writeFileSync(fileOf(1), bytes);
      expect(folder.read(keyOf(1), 100, 0)).toBeUndefined();
      folder.write(keyOf(1), blockOf(1), 0);
      expect(folder.read(keyOf(1), 100, 0)).toEqual(blockOf(1));
    }),
    { numRuns: 150 },
  );
});

test("what was used longest ago goes first; the end of a prompt before its beginning", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const most = 4 * (HEADER + 100);
  const folder = new BlockFolder(dir, most);
  for (let n = 0; n < 4; n++) {
    folder.write(keyOf(n), blockOf(n), n);
    age(n, 100 - n);
  }
  folder.read(keyOf(0), 100, 0);
  folder.read(keyOf(1), 100, 1);
  folder.write(keyOf(4), blockOf(4), 0);
  const there = [0, 1, 2, 3, 4].filter((n) => folder.read(keyOf(n), 100, 0));
  expect(there).not.toContain(2);
  expect(there).toEqual(expect.arrayContaining([0, 4]));
  const deep = new BlockFolder(join(dir, "deep"), most);
  for (let n = 0; n < 5; n++) deep.write(keyOf(n), blockOf(n), n === 4 ? 0 : n);
  expect(deep.read(keyOf(3), 100, 0)).toBeUndefined();
  expect(deep.read(keyOf(0), 100, 0)).toBeDefined();
});

test("bytes stay bounded, whoever writes beside", () => {
  const most = 100 * (HEADER + 100);
  const folders = [0, 1].map(() => new BlockFolder(dir, most));
  for (let n = 0; n < 500; n++) folders[n % 2]?.write(keyOf(n), blockOf(n), 0);
  const bytes = readdirSync(dir).length * (HEADER + 100);
  expect(bytes).toBeLessThanOrEqual(most * (1 + 2 / 16));
  expect(bytes).toBeGreaterThan(most / 2);
  expect(folders[0]?.write(keyOf(1000), blockOf(0, most), 0)).toBe(false);
});

test("nothing that it did not write is removed or replaced", () => {
  const [old, size] = [new Date(0), 3 * (HEADER + 100)];
  const folder = new BlockFolder(dir, size);
  const strange = ["notes.txt", `${keyOf(0)}.kv`, `${keyOf(0)}-00000000.kv`, `${keyOf(0)}-00000000.kv.bak`];
  for (const name of strange) {
    writeFileSync(join(dir, name), "mine".repeat(1000));
    utimesSync(join(dir, name), old, old);
  }
  folder.write(keyOf(1), blockOf(1), 0);
  const [link, place] = [fileOf(1), join(dir, "aim")];
  rmSync(link);
  writeFileSync(place, "mine");
  symlinkSync(place, link);
  expect(folder.write(keyOf(1), blockOf(1), 0)).toBe(false);
  expect(folder.read(keyOf(1), 4 - HEADER, 0)).toBeUndefined();
  folder.write(keyOf(2), blockOf(2), 0);
  const second = fileOf(2);
  rmSync(second);
  mkdirSync(second);
  expect(folder.write(keyOf(2), blockOf(2), 0)).toBe(false);
  for (let n = 10; n < 30; n++) folder.write(keyOf(n), blockOf(n), 0);
  for (const name of strange) expect(readFileSync(join(dir, name), "utf8")).toBe("mine".repeat(1000));
  expect(readFileSync(place, "utf8")).toBe("mine");
  expect(readdirSync(dir)).toEqual(expect.arrayContaining([link, second].map((path) => path.slice(dir.length + 1))));
});

test("keys tell apart what stands before, block by block", () => {
  const ids = Array.from({ length: 50 }, (_, i) => i);
  const keys = chainOf("root", ids, 16);
  expect(keys.map(({ depth }) => depth)).toEqual([0, 1, 2]);
  expect(chainOf("root", ids.slice(0, 40), 16)).toEqual(keys.slice(0, 2));
  expect(chainOf("other", ids, 16)[0]).not.toEqual(keys[0]);
  const turned = [...ids.slice(16, 32), ...ids.slice(0, 16)];
  expect(chainOf("root", turned, 16)[1]).not.toEqual(keys[1]);
});

test("a store keeps what it was given before it closes, reads up to the first gap, and two share a folder", async () => {
  const stores = await Promise.all([0, 1].map(() => openBlockStore({ dir, bytes: 1e6 })));
  const keys = Array.from({ length: 6 }, (_, depth) => ({ key: keyOf(depth), depth }));
  let asked = 0;
  for (const [n, key] of keys.entries())
    for (let times = 0; times < 2; times++)
      stores[n % 2]?.keep(key, () => {
        asked++;
        return blockOf(n);
      });
  expect(asked).toBe(6);
  await Promise.all(stores.map((store) => store.close()));
  expect(await stores[0]?.read(keys, 100)).toEqual([]);
  rmSync(fileOf(4));
  const again = await openBlockStore({ dir, bytes: 1e6 });
  expect(await again.read(keys, 100)).toEqual([0, 1, 2, 3].map((n) => blockOf(n)));
  await again.close();
});

test("a folder that cannot be is refused by name, and a disk that refuses later is told once", async () => {
  writeFileSync(join(dir, "file"), "");
  await expect(openBlockStore({ dir: join(dir, "file"), bytes: 1e6 })).rejects.toThrow(
    /file: expected a folder that can be written/,
  );
  const faults: string[] = [];
  const store = await openBlockStore({ dir: join(dir, "lost"), bytes: 1e6, onFault: (fault) => faults.push(fault) });
  rmSync(join(dir, "lost"), { recursive: true });
  writeFileSync(join(dir, "lost"), "");
  for (let n = 0; n < 3; n++) store.keep({ key: keyOf(n), depth: 0 }, () => blockOf(n));
  await store.close();
  expect(faults).toHaveLength(1);
});
