import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { RunWriter } from "../runs/index.ts";
import { atomicFile, atomicFolder, recoverFolder, removeFolder } from "./atomic.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { saveCheckpoint } from "./save.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let root = "";
let dir = "";
beforeEach(() => {
  mkdirSync((root = join(temporary.dir, String(count++))));
  dir = join(root, "model");
});

const fillWith = (content: string) => (into: string) => writeFile(join(into, "a.txt"), content);
const content = (): string => readFileSync(join(dir, "a.txt"), "utf8");

/** No process has this id: the largest Linux allows is 4,194,304. */
const DEAD_PID = 4_999_999;

describe("atomicFolder", () => {
  test("a folder appears only when it is whole", async () => {
    await atomicFolder(join(root, "deep", "er"), async (into) => {
      await fillWith("one")(into);
      expect(existsSync(join(root, "deep", "er"))).toBe(false);
      mkdirSync(join(into, "sub"));
      await writeFile(join(into, "sub", "b.txt"), "two");
    });
    expect(readFileSync(join(root, "deep", "er", "sub", "b.txt"), "utf8")).toBe("two");
    expect(readdirSync(join(root, "deep"))).toEqual(["er"]);
  });

  test("a failure in between keeps the old folder and leaves nothing", async () => {
    await atomicFolder(dir, fillWith("old"));
    const failing = atomicFolder(dir, async (into) => {
      await fillWith("new")(into);
      throw new RangeError("mine");
    });
    await expect(failing).rejects.toThrow(new RangeError("mine"));
    expect(content()).toBe("old");
    expect(readdirSync(root)).toEqual(["model"]);
  });

  test("replaces, or refuses to", async () => {
    await atomicFolder(dir, fillWith("old"));
    await expect(atomicFolder(dir, fillWith("new"), { overwrite: false })).rejects.toThrow(/model: exists already/);
    expect(content()).toBe("old");
    await atomicFolder(dir, fillWith("new"));
    expect(content()).toBe("new");
    expect(readdirSync(root)).toEqual(["model"]);
    writeFiles(root, { file: "" });
    await expect(atomicFolder(join(root, "file"), fillWith("x"))).rejects.toThrow(/expected a folder, found a file/);
    await expect(atomicFolder("/", fillWith("x"))).rejects.toThrow(CheckpointError);
  });

  test("a link to a folder stays a link", async () => {
    mkdirSync(join(root, "real"));
    symlinkSync("real", dir);
    await atomicFolder(dir, fillWith("new"));
    expect(readFileSync(join(root, "real", "a.txt"), "utf8")).toBe("new");
    expect(readdirSync(root).sort()).toEqual(["model", "real"]);
  });

  test("writers of one folder take turns", async () => {
    const failing = () => Promise.reject(new RangeError("mine"));
    const writes = [fillWith("x"), failing, fillWith("y"), fillWith("z")].map((fill) => atomicFolder(dir, fill));
    expect((await Promise.allSettled(writes)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    expect(content()).toBe("z");
    expect(readdirSync(root)).toEqual(["model"]);
  });

  test("a parent that cannot hold folders is a CheckpointError", async () => {
    writeFiles(root, { file: "" });
    await expect(atomicFolder(join(root, "file", "model"), fillWith("x"))).rejects.toThrow(CheckpointError);
    await expect(atomicFile(join(root, "file", "x.json"), "x")).rejects.toThrow(CheckpointError);
  });
});

describe("after a crash", () => {
  /** Every state a killed writer can leave: which of the names exist, and what must be read then. */
  test.each([
    ["while filling", { tmp: "half" }, undefined],
    ["while filling, over an old one", { model: "old", tmp: "half" }, "old"],
    ["when whole, first time", { new: "new" }, "new"],
    ["when whole, the old one still there", { model: "old", new: "new" }, "old"],
    ["with the old one moved aside", { old: "old", new: "new" }, "new"],
    ["before the old one was removed", { model: "new", old: "old" }, "new"],
    ["with nothing but the old one", { old: "old" }, "old"],
  ])("%s", async (_, states, expected) => {
    for (const [state, text] of Object.entries(states)) {
      const name =
        state === "model"
          ? "model"
          : state === "tmp"
            ? `.model.sumbi-tmp-${DEAD_PID}-0a1b2c3d`
            : `.model.sumbi-${state}`;
      mkdirSync(join(root, name));
      writeFileSync(join(root, name, "a.txt"), text);
    }
    await recoverFolder(dir);
    expect(existsSync(dir) ? content() : undefined).toBe(expected);
    await recoverFolder(dir);
    expect(existsSync(dir) ? content() : undefined).toBe(expected);
    await atomicFolder(dir, fillWith("next"));
    expect(content()).toBe("next");
    expect(readdirSync(root)).toEqual(["model"]);
  });

  test("the temporary folder of a living process is left alone", async () => {
    const living = `.other.sumbi-tmp-${process.ppid}-00000000`;
    mkdirSync(join(root, living));
    await atomicFolder(dir, fillWith("x"));
    expect(readdirSync(root).sort()).toEqual([living, "model"]);
  });

  test("a reader that recovers while the writer is between its two renames does no harm", async () => {
    await atomicFolder(dir, fillWith("old"));
    await atomicFolder(dir, async (into) => {
      await fillWith("new")(into);
      // As if the writer had just moved the old folder aside.
      renameSync(dir, join(root, ".model.sumbi-old"));
      await recoverFolder(dir);
      expect(content()).toBe("old");
    });
    expect(content()).toBe("new");
    expect(readdirSync(root)).toEqual(["model"]);
  });

  test("removeFolder takes a folder away and forgives a missing one", async () => {
    await atomicFolder(dir, fillWith("x"));
    await removeFolder(dir);
    await removeFolder(dir);
    expect(readdirSync(root)).toEqual([]);
  });

  test("kill -9 at any moment leaves a whole checkpoint", async () => {
    const room = pathToFileURL(fileURLToPath(new URL("./save.ts", import.meta.url))).href;
    const script = `
      const { saveCheckpoint } = await import(${JSON.stringify(room)});
      for (let n = Number(process.argv[1]); ; n++) {
        const tensors = ["a", "b", "c", "d"].map((key) => ({ key, shape: [20000], data: new Float32Array(20000).fill(n) }));
        await saveCheckpoint(process.argv[2], { config: { n }, tensors, dtype: "f32", shardBytes: 100000, overwrite: true });
        if (n % 5 === 0) console.log(n);
      }`;
    let reached = 0;
    for (let round = 0; round < 3; round++) {
      const first = reached + 1;
      const child = spawn(
        process.execPath,
        ["--import", "tsx", "--input-type=module", "-e", script, String(first), dir],
        {
          stdio: ["ignore", "pipe", "inherit"],
        },
      );
      await once(child.stdout, "data");
      await new Promise((resolve) => setTimeout(resolve, 7 * round));
      child.kill("SIGKILL");
      await once(child, "exit");
      await using checkpoint = await openCheckpoint(dir);
      const { n } = checkpoint.config as { n: number };
      expect(n).toBeGreaterThanOrEqual(first);
      expect(checkpoint.keys()).toEqual(["a", "b", "c", "d"]);
      for (const key of checkpoint.keys()) expect(new Set((await checkpoint.readF32(key)).data)).toEqual(new Set([n]));
      reached = n;
    }
    await saveCheckpoint(dir, { config: {}, tensors: [], dtype: "f32", overwrite: true });
    expect(readdirSync(root)).toEqual(["model"]);
  });
});

describe("a full disk", () => {
  test("as the system reports it", async () => {
    await atomicFolder(dir, fillWith("old"));
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
      code: "ENOSPC",
      syscall: "write",
    });
    const failing = atomicFolder(dir, () => Promise.reject(full), { neededBytes: 5 });
    await expect(failing).rejects.toThrow(
      /model: the disk is full, 5 bytes needed, \d+ bytes free; nothing was changed/,
    );
    await expect(failing).rejects.toBeInstanceOf(CheckpointError);
    expect(content()).toBe("old");
    expect(readdirSync(root)).toEqual(["model"]);
  });

  test("is foreseen before anything is written", async () => {
    let filled = false;
    const saving = atomicFolder(dir, () => void (filled = true), { neededBytes: 2 ** 50 });
    await expect(saving).rejects.toThrow(/the disk is full, 1125899906842624 bytes needed, \d+ bytes free/);
    expect(filled).toBe(false);
    expect(readdirSync(root)).toEqual([]);
  });

  const mount = join(temporary.dir, "tiny");
  const mounted = mountTiny(mount);
  afterAll(() => mounted && execFileSync("umount", [mount]));

  test.skipIf(!mounted)("for real, on a file system of 1 MiB", async () => {
    const save = (values: number, n: number) => {
      const tensors = [{ key: "w", shape: [values], data: new Float32Array(values).fill(n) }];
      return saveCheckpoint(join(mount, "model"), { config: { n }, tensors, dtype: "f32", overwrite: true });
    };
    await save(1000, 1);
    await expect(save(400_000, 2)).rejects.toThrow(/model: the disk is full, 1\d{6} bytes needed, \d{6,7} bytes free/);
    const unforeseen = atomicFolder(join(mount, "model"), (into) =>
      writeFile(join(into, "config.json"), "x".repeat(2 ** 21)),
    );
    await expect(unforeseen).rejects.toThrow(/the disk is full, \d+ bytes free; nothing was changed/);
    await expect(atomicFile(join(mount, "f"), new Uint8Array(2 ** 21))).rejects.toThrow(
      /f: the disk is full, 2097152 bytes needed/,
    );
    expect(readdirSync(mount)).toEqual(["model"]);
    await using checkpoint = await openCheckpoint(join(mount, "model"));
    expect(new Set((await checkpoint.readF32("w")).data)).toEqual(new Set([1]));
  });

  test.skipIf(!mounted)("a run's log still ends with a whole line", async () => {
    const writer = await RunWriter.create(join(mount, "runs"), { id: "r", recipeName: "r", recipe: {} });
    const sample = (step: number) => writer.write({ type: "sample", step, prompt: "", text: "x".repeat(100_000) });
    let written = 0;
    expect(() => {
      for (; written < 100; written++) sample(written);
    }).toThrow(/log.jsonl cannot be written: ENOSPC/);
    const log = readFileSync(join(writer.dir, "log.jsonl"), "utf8");
    expect(log.split("\n").length).toBe(written + 1);
    expect(log.endsWith("\n")).toBe(true);
    await writer.close();
  });
});

function mountTiny(path: string): boolean {
  try {
    mkdirSync(path);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", path], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("atomicFile", () => {
  test("writes text and bytes, creates folders, replaces", async () => {
    const path = join(root, "a", "b.json");
    await atomicFile(path, "old");
    await atomicFile(path, Uint8Array.of(0x6e, 0x65, 0x77));
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(join(root, "a"))).toEqual(["b.json"]);
  });
});
