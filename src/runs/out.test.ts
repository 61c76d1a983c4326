import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { checkWritable, saveCheckpoint } from "../checkpoint/index.ts";
import { CheckpointError, DiskError, UsageError } from "../errors.ts";
import { chooseOut, copyModel, putInto } from "./out.ts";
import { checkRoom } from "./room.ts";

const temporary = temporaryFolder();
const before = process.cwd();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let root = "";
beforeEach(() => {
  mkdirSync((root = join(realpathSync(temporary.dir), String(count++))));
  process.chdir(root);
});
afterEach(() => process.chdir(before));

const NANO = fileURLToPath(new URL("../../models/nano", import.meta.url));
const exported = (dir: string, run = "20261126-010203-tiny") =>
  saveCheckpoint(dir, {
    config: {},
    tensors: [],
    dtype: "f32",
    origin: { run, recipe: "tiny", step: 5 },
    overwrite: true,
  });
const choose = (
  out?: string,
  {
    overwrite,
    earlier,
    name = "tiny",
    runs = "runs",
  }: { overwrite?: boolean; earlier?: string; name?: string; runs?: string } = {},
) => chooseOut({ out, overwrite, runs }, earlier, name);
const dirOf = async (...args: Parameters<typeof choose>) => (await choose(...args)).dir.slice(root.length + 1);

describe("without --out", () => {
  test("models/<recipe>, or the next number when something is there, whatever it is", async () => {
    expect(await choose()).toEqual({ dir: join(root, "models", "tiny"), overwrite: false, byDefault: true });
    await exported("models/tiny");
    expect(await dirOf()).toBe("models/tiny-2");
    writeFileSync("models/tiny-2", "a file");
    mkdirSync("models/tiny-3");
    expect(await dirOf()).toBe("models/tiny-3");
    expect(await dirOf(undefined, { overwrite: true })).toBe("models/tiny");
    expect(readdirSync("models").sort()).toEqual(["tiny", "tiny-2", "tiny-3"]);
  });

  test("never the bundled model's folder, asked to overwrite or not, also through a link", async () => {
    mkdirSync("models");
    cpSync(NANO, "models/nano", { recursive: true });
    mkdirSync("elsewhere");
    symlinkSync("../models", "elsewhere/models");
    for (const at of [root, join(root, "elsewhere")]) {
      process.chdir(at);
      for (const overwrite of [false, true]) {
        expect((await choose(undefined, { name: "nano", overwrite })).dir).toBe(join(at, "models", "nano-2"));
        await expect(choose("models/nano", { overwrite })).rejects.toThrow(
          /--out models\/nano: holds files that Sumbi did not put there \(.*\); nothing in it is touched\. Choose another folder/,
        );
      }
    }
    expect(readdirSync(join(root, "models"))).toEqual(["nano"]);
  });

  test("the bundled models carry no manifest, which is what protects them", () => {
    expect(existsSync(join(NANO, "config.json"))).toBe(true);
    expect(existsSync(join(NANO, "sumbi.json"))).toBe(false);
  });

  test("a resumed run keeps the folder that it began with, or takes the next one when that is taken", async () => {
    const mine = join(root, "there", "models", "tiny-2");
    expect((await choose(undefined, { earlier: mine })).dir).toBe(mine);
    await exported(mine);
    expect(await choose(undefined, { earlier: mine })).toMatchObject({
      dir: join(root, "there", "models", "tiny"),
      byDefault: true,
    });
    const named = join(root, "named");
    await exported(named);
    await expect(choose(undefined, { earlier: named })).rejects.toThrow(/named: holds a model that Sumbi put there/);
  });

  test("a recipe's name is no way out of models/", async () => {
    for (const name of ["../../etc", "/etc", "..", ".", "a/b", "C:\\x", "-rf", "x\0y", "  ", "숨비", "x".repeat(500)]) {
      const dir = await dirOf(undefined, { name });
      expect(dir).toMatch(/^models[/\\][^/\\]{1,60}$/);
      expect(dir).not.toMatch(/[/\\][.-]/);
    }
    expect(await dirOf(undefined, { name: "숨비" })).toBe(join("models", "숨비"));
  });
});

describe("--out", () => {
  test("a new folder, an empty one, a link to one; with a slash behind it, dots in it, signs of any script", async () => {
    mkdirSync("empty");
    mkdirSync("disk");
    symlinkSync("disk", "link");
    for (const out of ["new", "new/", "a/b/c", "empty", "link", "./x/../y", "모델 ü", "-x", "x".repeat(250)])
      expect((await choose(out)).byDefault).toBe(false);
    expect(readdirSync(root).sort()).toEqual(["disk", "empty", "link"]);
    expect(readdirSync("disk")).toEqual([]);
  });

  test("a model that Sumbi wrote only with --overwrite; the message tells which it is and both ways on", async () => {
    await exported("m");
    await expect(choose("m")).rejects.toThrow(
      "--out m: holds a model that Sumbi put there: that of run 20261126-010203-tiny (tiny, step 5). Choose another folder with --out, or replace that model with --overwrite",
    );
    expect(await choose("m", { overwrite: true })).toEqual({ dir: join(root, "m"), overwrite: true, byDefault: false });
  });

  test.each<[string, string, () => void | Promise<void>, RegExp]>([
    [
      "a folder with a config.json",
      "p",
      () => (mkdirSync("p"), writeFiles("p", { "config.json": '{"port":80}' })),
      /did not put there \(config\.json\)/,
    ],
    [
      "a copy of a bundled model with notes",
      "m",
      () => (cpSync(NANO, "m", { recursive: true }), writeFiles("m", { "NOTES.md": "x" })),
      /did not put there/,
    ],
    [
      "a changed export",
      "m",
      () => exported("m").then(() => writeFiles("m", { "config.json": "{}" })),
      /changed after Sumbi wrote them/,
    ],
    [
      "this folder, with something in it",
      ".",
      () => writeFiles(".", { x: "" }),
      /did not put there|apart from the runs/,
    ],
    ["the root of the disk", "/", () => {}, /did not put there|apart from the runs/],
    ["a file", "file", () => writeFiles(".", { file: "" }), /is a file/],
    ["below a file", "file/m", () => writeFiles(".", { file: "" }), /ENOTDIR/],
    ["a link to nothing", "link", () => symlinkSync("gone", "link"), /is a link to nothing/],
    ["a name that is too long", "x".repeat(256), () => {}, /ENAMETOOLONG/],
    [
      "a name that is too long, in a folder to be made",
      join("new", "x".repeat(256)),
      () => {},
      /the name is too long \(ENAMETOOLONG\)/,
    ],
    ["a path that is too long", "x/".repeat(3000), () => {}, /ENAMETOOLONG/],
    ["the runs folder", "runs", () => {}, /expected a folder apart from the runs/],
    ["around the runs folder", ".", () => {}, /expected a folder apart from the runs/],
    ["the cache", "runs/cache/data", () => {}, /apart from the runs/],
    [
      "a run's folder",
      "runs/r/model",
      () => (mkdirSync("runs/r", { recursive: true }), writeFiles("runs/r", { "run.json": "{}" })),
      /apart from the runs/,
    ],
    [
      "a run's folder, through a link",
      "link/model",
      () => (
        mkdirSync("runs/r", { recursive: true }),
        writeFiles("runs/r", { "run.json": "{}" }),
        symlinkSync("runs/r", "link")
      ),
      /apart from the runs/,
    ],
  ])("%s is refused and left alone, also with --overwrite", async (_, out, prepare, message) => {
    await prepare();
    const entries = () => readdirSync(root, { recursive: true }).sort();
    const there = entries();
    for (const overwrite of [false, true]) {
      const refused = choose(out, { overwrite });
      await expect(refused).rejects.toThrow(message);
      await expect(refused).rejects.toBeInstanceOf(CheckpointError);
    }
    expect(entries()).toEqual(there);
  });

  test("beside the runs, on the same disk, is fine", async () => {
    mkdirSync("runs");
    expect(await dirOf("runs/mine")).toBe("runs/mine");
    expect(await dirOf("mine", { runs: "." }).catch((error: Error) => error.message)).toBe("mine");
  });

  test("an empty text is no folder", async () => {
    for (const out of ["", " "]) await expect(choose(out)).rejects.toBeInstanceOf(UsageError);
  });
});

describe("two runs that end in the same folder", () => {
  test("one gets it, the other is told, or takes the next one when nobody named it", async () => {
    await exported("beside-1", "run-1");
    await exported("beside-2", "run-2");
    const runOf = (dir: string) => (JSON.parse(readFileSync(join(dir, "sumbi.json"), "utf8")) as { run: string }).run;
    const named = await choose("m");
    const both = await Promise.allSettled(
      [1, 2].map((n) => putInto(named, (dir) => copyModel(`beside-${n}`, dir, false))),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(both.find((result) => result.status === "rejected")).toMatchObject({
      reason: { message: expect.stringMatching(/exists already/) },
    });
    const byDefault = await choose();
    const dirs = await Promise.all(
      [1, 2].map((n) => putInto(byDefault, (dir) => copyModel(`beside-${n}`, dir, false))),
    );
    expect(dirs.map((dir) => dir.slice(root.length + 1)).sort()).toEqual(["models/tiny", "models/tiny-2"]);
    expect(dirs.map(runOf)).toEqual(["run-1", "run-2"]);
  });
});

describe("the disk", () => {
  const mount = join(realpathSync(temporary.dir), "small");
  const mounted = ((): boolean => {
    try {
      mkdirSync(mount);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=60k", "tmpfs", mount], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  })();
  afterAll(() => mounted && execFileSync("umount", [mount]));

  // Mounting takes root, and a system that knows tmpfs.
  test.skipIf(!mounted)("has room for what a run writes, or the run is refused with all figures", async () => {
    const needs = [
      { dir: join(mount, "runs"), bytes: 40_000, what: "3 states of 13.3 kB" },
      { dir: join(mount, "m", "n"), bytes: 30_000, what: "the model at its place" },
    ];
    await expect(checkRoom(needs)).rejects.toThrow(
      /expected about 70\.0 kB of free disk for 3 states of 13\.3 kB \(40\.0 kB\), the model at its place \(30\.0 kB\), but .*runs has 6\d\.\d kB\. Free some, keep fewer states/,
    );
    await expect(checkRoom(needs)).rejects.toBeInstanceOf(DiskError);
    await checkRoom(needs.slice(0, 1));
    await checkRoom([{ dir: join(root, "runs"), bytes: 70_000, what: "x" }, ...needs.slice(1)]);
  });

  test.skipIf(!mounted)("that is read-only is told before anything is done", async () => {
    execFileSync("mount", ["-o", "remount,ro", mount]);
    try {
      await expect(choose(join(mount, "m"))).rejects.toThrow(
        /expected a folder that can be written, but the disk is read-only \(EROFS\)/,
      );
      await expect(checkWritable(join(mount, "runs"), "--runs runs")).rejects.toThrow(
        /--runs runs: expected .* read-only \(EROFS\)/,
      );
    } finally {
      execFileSync("mount", ["-o", "remount,rw", mount]);
    }
  });

  test("checkWritable leaves nothing, whether it can or not", async () => {
    await checkWritable(join(root, "a", "b"), "x");
    expect(readdirSync(root)).toEqual([]);
    mkdirSync("there");
    await checkWritable(join(root, "there"), "x");
    await checkWritable(join(root, "there", "c"), "x");
    expect(readdirSync(root, { recursive: true })).toEqual(["there"]);
    rmSync("there", { recursive: true });
  });
});
