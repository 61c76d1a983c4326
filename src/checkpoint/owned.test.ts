import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { bundle } from "../../test/support/bundle.ts";
import { CheckpointError } from "../errors.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { judgeFolder, ownedFolder } from "./owned.ts";
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

/** A model whose every file tells its number; two weight files, or one. */
const save = (n: number, options: { overwrite?: boolean; shardBytes?: number; to?: string } = {}) =>
  saveCheckpoint(options.to ?? dir, {
    config: { n },
    tensors: ["a", "b"].map((key) => ({ key, shape: [4], data: new Float32Array(4).fill(n) })),
    dtype: "f32",
    files: { "tokenizer.json": `{"n":${n}}` },
    shardBytes: options.shardBytes ?? 16,
    overwrite: options.overwrite,
    origin: { run: `run-${n}`, recipe: "tiny", step: n },
  });

/** The number of a model, after checking that all its files have the same. */
async function numberOf(folder: string): Promise<number> {
  await using checkpoint = await openCheckpoint(folder);
  const { n } = checkpoint.config as { n: number };
  for (const key of ["a", "b"]) expect(new Set((await checkpoint.readF32(key)).data)).toEqual(new Set([n]));
  expect(JSON.parse(readFileSync(join(folder, "tokenizer.json"), "utf8"))).toEqual({ n });
  expect(manifestOf(folder)).toMatchObject({ run: `run-${n}`, step: n });
  return n;
}
const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, "sumbi.json"), "utf8")) as {
    files: { name: string; bytes: number; sha256: string }[];
  };

/** Everything below a folder: contents, links and folders by path. */
function tree(folder: string, at = ""): Record<string, string> {
  return Object.assign(
    {},
    ...readdirSync(join(folder, at)).map((name) => {
      const path = join(at, name);
      const found = lstatSync(join(folder, path));
      if (found.isSymbolicLink()) return { [path]: `-> ${readlinkSync(join(folder, path))}` };
      return found.isDirectory()
        ? { [path]: "folder", ...tree(folder, path) }
        : { [path]: readFileSync(join(folder, path), "hex") };
    }),
  ) as Record<string, string>;
}

describe("whose a folder is", () => {
  test("the manifest lists what was written, with sizes and hashes, and where it comes from", async () => {
    await save(7);
    expect(manifestOf(dir)).toMatchObject({ version: 1, kind: "model", run: "run-7", recipe: "tiny", step: 7 });
    expect(manifestOf(dir).files.map((file) => file.name)).toEqual(
      readdirSync(dir)
        .filter((name) => name !== "sumbi.json")
        .sort(),
    );
    expect(manifestOf(dir).files.find((file) => file.name === "tokenizer.json")).toEqual({
      name: "tokenizer.json",
      bytes: 7,
      sha256: createHash("sha256").update('{"n":7}').digest("hex"),
    });
  });

  test.each<[string, () => void | Promise<void>, RegExp | "free" | "ours"]>([
    ["nothing there", () => {}, "free"],
    ["an empty folder", () => void mkdirSync(dir), "free"],
    ["what a system puts there", () => (mkdirSync(dir), writeFiles(dir, { ".DS_Store": "x" })), "free"],
    ["a model that Sumbi wrote", () => save(1), "ours"],
    ["one with a person's notes beside it", () => save(1).then(() => writeFiles(dir, { "NOTES.md": "x" })), "ours"],
    ["one without a file that it had", () => save(1).then(() => rmSync(join(dir, "tokenizer.json"))), "ours"],
    [
      "any config.json",
      () => (mkdirSync(dir), writeFiles(dir, { "config.json": '{"port":80}' })),
      /did not put there \(config\.json\)/,
    ],
    [
      "a thesis",
      () => (mkdirSync(dir), writeFiles(dir, { "thesis.txt": "ten years" })),
      /did not put there \(thesis\.txt\)/,
    ],
    ["hidden files only", () => void mkdirSync(join(dir, ".git"), { recursive: true }), /did not put there \(\.git\)/],
    [
      "a changed config.json",
      () => save(1).then(() => writeFiles(dir, { "config.json": "{}" })),
      /changed after Sumbi wrote them \(config\.json\)/,
    ],
    [
      "a change that keeps the size",
      () => save(1).then(() => writeFiles(dir, { "tokenizer.json": '{"n":2}' })),
      /changed after Sumbi wrote them \(tokenizer\.json\)/,
    ],
    [
      "weights moved away and linked",
      () =>
        save(1).then(
          () => (
            renameSync(join(dir, "model-00001-of-00002.safetensors"), join(root, "w")),
            symlinkSync(join(root, "w"), join(dir, "model-00001-of-00002.safetensors"))
          ),
        ),
      /changed after/,
    ],
    [
      "a foreign file that a reader would take",
      () => save(1).then(() => writeFiles(dir, { "model.safetensors": "x" })),
      /did not put there but would read \(model\.safetensors\)/,
    ],
    [
      "the same in capitals",
      () => save(1).then(() => writeFiles(dir, { "Chat_Template.jinja": "x" })),
      /would read \(Chat_Template\.jinja\)/,
    ],
    [
      "somebody else's sumbi.json",
      () => (mkdirSync(dir), writeFiles(dir, { "sumbi.json": '{"files":["config.json"]}' })),
      /not a list of files that Sumbi wrote/,
    ],
    [
      "a manifest that lists what lies outside",
      () => (
        mkdirSync(dir),
        writeFiles(dir, {
          "sumbi.json": JSON.stringify({
            version: 1,
            kind: "model",
            files: [{ name: "../x", bytes: 1, sha256: "0".repeat(64) }],
          }),
        })
      ),
      /not a list of files/,
    ],
    [
      "a manifest that is a link",
      () =>
        save(1, { to: join(root, "other") }).then(
          () => (mkdirSync(dir), symlinkSync("../other/sumbi.json", join(dir, "sumbi.json"))),
        ),
      /expected a file/,
    ],
    ["a file", () => writeFileSync(dir, "x"), /is a file/],
    ["a link to nothing", () => symlinkSync("nowhere", dir), /is a link to nothing/],
    ["a name too long for the disk", () => void (dir = join(root, "x".repeat(300))), /cannot be read \(ENAMETOOLONG\)/],
    [
      "a folder below a file",
      () => (writeFileSync(join(root, "file"), ""), void (dir = join(root, "file", "model"))),
      /cannot be read \(ENOTDIR\)/,
    ],
  ])("%s", async (_, prepare, expected) => {
    await prepare();
    const before = tree(root);
    const judgement = await judgeFolder(dir, "model");
    if (expected instanceof RegExp) {
      expect(judgement).toMatchObject({ verdict: "foreign", reason: expect.stringMatching(expected) });
      await expect(save(9, { overwrite: true })).rejects.toBeInstanceOf(CheckpointError);
    } else expect(judgement.verdict).toBe(expected);
    if (expected === "ours") await expect(save(9)).rejects.toThrow(/exists already/);
    expect(tree(root)).toEqual(before);
  });

  test("a tokenizer is not replaced by a model, nor a model by a tokenizer", async () => {
    await save(1);
    const tokenizer = ownedFolder(dir, (into) => writeFile(join(into, "tokenizer.json"), "{}"), {
      origin: { kind: "tokenizer" },
      overwrite: true,
    });
    await expect(tokenizer).rejects.toThrow(/holds a model that Sumbi wrote, not a tokenizer/);
    expect(await numberOf(dir)).toBe(1);
  });
});

describe("replacing", () => {
  test("exactly our own files: notes, folders and links stay, and files that the new model does not have go", async () => {
    await save(1);
    mkdirSync(join(dir, "checkpoint-5"));
    writeFiles(dir, { "NOTES.md": "mine", "adapter.safetensors": "mine too" });
    writeFiles(join(dir, "checkpoint-5"), { "config.json": "{}" });
    symlinkSync("NOTES.md", join(dir, "link"));
    await save(2, { overwrite: true, shardBytes: 1e9 });
    expect(await numberOf(dir)).toBe(2);
    expect(readdirSync(dir).sort()).toEqual([
      "NOTES.md",
      "adapter.safetensors",
      "checkpoint-5",
      "config.json",
      "link",
      "model.safetensors",
      "sumbi.json",
      "tokenizer.json",
    ]);
    expect(tree(dir)).toMatchObject({
      "NOTES.md": Buffer.from("mine").toString("hex"),
      link: "-> NOTES.md",
      "checkpoint-5/config.json": "7b7d",
    });
    await save(3, { overwrite: true });
    expect(await numberOf(dir)).toBe(3);
    expect(existsSync(join(dir, "model.safetensors"))).toBe(false);
  });

  test("through a link, in the folder that it names", async () => {
    mkdirSync(join(root, "disk"));
    symlinkSync("disk", dir);
    await save(1);
    await save(2, { overwrite: true });
    expect(await numberOf(join(root, "disk"))).toBe(2);
    expect(lstatSync(dir).isSymbolicLink()).toBe(true);
    expect(readdirSync(root).sort()).toEqual(["disk", "model"]);
  });

  test("whatever is in the folder, what is not ours and unchanged is there afterwards, byte for byte", async () => {
    const name = fc.constantFrom(
      "NOTES.md",
      "config.json",
      "tokenizer.json",
      "model.safetensors",
      "model-00001-of-00002.safetensors",
      "model.safetensors.index.json",
      "sumbi.json",
      "recipe.json",
      "CONFIG.JSON",
      ".sumbi-new",
      "ö ü",
    );
    const act = fc.record({ name, what: fc.constantFrom("edit", "remove", "folder", "link") });
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { maxLength: 4 }),
        fc.boolean(),
        fc.constantFrom(16, 1e9),
        async (acts, overwrite, shardBytes) => {
          rmSync(dir, { recursive: true, force: true });
          await save(1);
          const own = tree(dir);
          for (const { name, what } of acts) {
            rmSync(join(dir, name), { recursive: true, force: true });
            if (what === "edit") writeFiles(dir, { [name]: "edited" });
            if (what === "folder") mkdirSync(join(dir, name)), writeFiles(join(dir, name), { inner: "x" });
            if (what === "link") symlinkSync("/etc/hostname", join(dir, name));
          }
          const before = tree(dir);
          const refused = await save(2, { overwrite, shardBytes }).then(
            () => false,
            (error: Error) => error,
          );
          const after = tree(dir);
          if (refused) {
            expect(refused).toBeInstanceOf(CheckpointError);
            expect(after).toEqual(before);
          } else {
            for (const [path, content] of Object.entries(before))
              if (own[path] !== content) expect([path, after[path]]).toEqual([path, content]);
            expect(await numberOf(dir)).toBe(2);
          }
        },
      ),
      { numRuns: process.env["SUMBI_TEST"] === "full" ? 2000 : 60 },
    );
  });

  test("another process that puts a model there meanwhile is not overwritten unasked", async () => {
    const during = (act: () => void, overwrite: boolean) => {
      let once = false;
      return ownedFolder(
        dir,
        async (into) => {
          await writeFile(join(into, "config.json"), '{"n":9}');
          if (!once) act();
          once = true;
        },
        { origin: { kind: "model", run: "mine" }, overwrite },
      );
    };
    await save(5, { to: join(root, "theirs") });
    const appear = () => cpSync(join(root, "theirs"), dir, { recursive: true });
    await expect(during(appear, false)).rejects.toThrow(/exists already/);
    expect(await numberOf(dir)).toBe(5);
    // Theirs is committed but not yet in place when ours is whole: theirs is finished first, then ours replaces it.
    await during(() => cpSync(join(root, "theirs"), join(dir, ".sumbi-new"), { recursive: true }), true);
    expect(manifestOf(dir)).toMatchObject({ run: "mine" });
    expect(readdirSync(dir).sort()).toEqual(["config.json", "sumbi.json"]);
    expect(readdirSync(root).sort()).toEqual(["model", "theirs"]);
  });
});

describe("a crash in the middle of replacing", () => {
  /** Does as the real one and then ends the process at once, at the nth change of the file system. */
  const script = (room: string) => `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    let left = Number(process.argv[1]);
    for (const name of ["mkdir", "rename", "rm", "rmdir", "writeFile"]) {
      const real = fs[name];
      fs[name] = async (...args) => {
        const done = await real(...args);
        if (--left === 0) process.kill(process.pid, "SIGKILL");
        return done;
      };
    }
    syncBuiltinESMExports();
    const { saveCheckpoint } = await import(${JSON.stringify(room)});
    const tensors = ["a", "b"].map((key) => ({ key, shape: [4], data: new Float32Array(4).fill(2) }));
    await saveCheckpoint(process.argv[2], { config: { n: 2 }, tensors, dtype: "f32", files: { "tokenizer.json": '{"n":2}' }, shardBytes: 1e9, overwrite: true, origin: { run: "run-2", step: 2 } });`;

  test.runIf(process.env["SUMBI_TEST"] === "full")(
    "after every single change on disk there is the old model or the new one, whole, and the notes",
    async () => {
      const room = await bundle(fileURLToPath(new URL("./save.ts", import.meta.url)), join(temporary.dir, "bundle"));
      const outcomes: number[] = [];
      for (let n = 1, killed = true; killed; n++) {
        rmSync(dir, { recursive: true, force: true });
        await save(1);
        writeFiles(dir, { "NOTES.md": "mine" });
        const child = spawn(process.execPath, ["--input-type=module", "-e", script(room), String(n), dir], {
          stdio: ["ignore", "inherit", "inherit"],
        });
        const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
        killed = signal === "SIGKILL";
        if (!killed) expect(code).toBe(0);
        const found = await numberOf(dir);
        outcomes.push(found);
        expect(readFileSync(join(dir, "NOTES.md"), "utf8")).toBe("mine");
        await save(3, { overwrite: true });
        expect(await numberOf(dir)).toBe(3);
        expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
        expect(readdirSync(root)).toEqual(["model"]);
      }
      // Old up to the renaming of the whole folder, new from there on.
      expect(outcomes).toEqual([...outcomes].sort());
      expect(outcomes.filter((n) => n === 1).length).toBeGreaterThan(3);
      expect(outcomes.filter((n) => n === 2).length).toBeGreaterThan(6);
    },
    120_000,
  );

  /** A folder as a crash leaves it right after the new model was whole. */
  async function interrupted(): Promise<void> {
    await save(1);
    await save(2, { to: join(root, "next"), shardBytes: 1e9 });
    renameSync(join(root, "next"), join(dir, ".sumbi-new"));
  }

  test("what a person changed since is not overwritten by going on", async () => {
    await interrupted();
    writeFiles(dir, { "config.json": '{"mine":1}' });
    await expect(openCheckpoint(dir)).rejects.toThrow(
      /was being replaced when Sumbi was interrupted, and config\.json changed since\. Move that away/,
    );
    expect(readFileSync(join(dir, "config.json"), "utf8")).toBe('{"mine":1}');
    renameSync(join(dir, "config.json"), join(dir, "mine.json"));
    expect(await numberOf(dir)).toBe(2);
  });

  test("a file of the new model's name that appeared since is not overwritten", async () => {
    await interrupted();
    writeFiles(dir, { "model.safetensors": "mine" });
    await expect(openCheckpoint(dir)).rejects.toThrow(/model\.safetensors changed since/);
    expect(readFileSync(join(dir, "model.safetensors"), "utf8")).toBe("mine");
  });

  test.skipIf(process.getuid?.() === 0)("a folder that cannot be written says so", async () => {
    await interrupted();
    chmodSync(dir, 0o555);
    await expect(openCheckpoint(dir)).rejects.toThrow(/cannot be finished: EACCES\. Make the folder writable/);
    chmodSync(dir, 0o755);
    expect(await numberOf(dir)).toBe(2);
  });
});
