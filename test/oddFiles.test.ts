/** What stands in the place of a file that Sumbi reads may be anything: it is refused at once, by its name. */
import { execFileSync, fork } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { prepareData } from "../src/data/index.ts";
import { temporaryFolder, writeFiles } from "./folders.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const NANO = join(HERE, "../models/nano");
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const KINDS: Record<string, { make(path: string): void; said: RegExp }> = {
  "a pipe": { make: (path) => execFileSync("mkfifo", [path]), said: /found a pipe/ },
  "a device": { make: (path) => symlinkSync("/dev/zero", path), said: /found a device|leads out of the folder/ },
  "a folder": { make: (path) => mkdirSync(path), said: /found a folder|got the folder/ },
  "a link to itself": { make: (path) => symlinkSync(path, path), said: /a link/ },
  "too large": {
    make: (path) => {
      writeFileSync(path, "");
      truncateSync(path, 2 ** 33);
    },
    said: /expected at most \d+ bytes|expected a safetensors|header: /,
  },
};

/** What reads which file. */
const READ: Record<string, string[]> = {
  "tokenizer.json": ["loadTokenizer", "tokenizerHash", "tokenizerFiles", "loadServed"],
  "tokenizer_config.json": ["loadTokenizer", "tokenizerHash", "tokenizerFiles", "loadServed"],
  "chat_template.jinja": ["loadTokenizer", "tokenizerHash", "tokenizerFiles", "loadServed"],
  "generation_config.json": ["loadTokenizer", "tokenizerFiles", "loadServed"],
  "config.json": ["openCheckpoint", "loadServed", "inspect", "planModel"],
  "model.safetensors.index.json": ["openCheckpoint"],
  "model.safetensors": ["openCheckpoint"],
  "sumbi.json": ["readManifest"],
  "claim.json": ["claim"],
  "recipe.jsonc": ["readRecipe"],
  "run.json": ["readRunInfo"],
  "writer-3.json": ["ownerOf"],
  "dataset.json": ["openDataset"],
  "text.txt": ["findSources"],
};
/** Its owner is in doubt, which is no error; a text may be as large as it likes. */
const ALLOWED = new Set(["ownerOf: too large", "findSources: a folder", "findSources: too large"]);

interface Said {
  reader: string;
  path: string;
  refused: boolean;
  message: string;
}

describe.skipIf(process.platform === "win32")("in the place of a file", () => {
  it("anything else is refused at once by every reader, by name", async () => {
    const cases: { reader: string; path: string; kind: string }[] = [];
    for (const [file, readers] of Object.entries(READ))
      for (const [kind, { make }] of Object.entries(KINDS)) {
        const dir = join(folder.dir, `${file} ${kind}`);
        mkdirSync(dir);
        for (const good of ["tokenizer.json", "tokenizer_config.json", "config.json"])
          if (good !== file) copyFileSync(join(NANO, good), join(dir, good));
        make(join(dir, file));
        for (const reader of readers) cases.push({ reader, path: join(dir, file), kind });
      }
    const child = fork(join(HERE, "support/oddFilesChild.ts"), [], { execArgv: ["--import", "tsx"] });
    const said: Said[] = [];
    const hang = setTimeout(() => child.kill("SIGKILL"), 120_000);
    await new Promise<void>((resolve) => {
      child.on("message", (one: Said) => said.push(one));
      child.on("exit", () => resolve());
      child.send(cases.map(({ reader, path }) => [reader, path]));
    });
    clearTimeout(hang);
    const next = cases[said.length];
    expect(next, `${next?.reader} hangs on ${next?.path}`).toBeUndefined();
    for (const [i, { reader, path, kind }] of cases.entries()) {
      if (ALLOWED.has(`${reader}: ${kind}`)) continue;
      const { refused, message } = said[i]!;
      expect(refused, `${reader} of ${path}: ${message}`).toBe(true);
      expect(message).toContain(dirname(path));
      expect(message).toContain(basename(path));
      // of its own manifest Sumbi follows no link
      expect(message).toMatch(basename(path) === "sumbi.json" ? /expected / : KINDS[kind]!.said);
      expect(message.length).toBeLessThan(1000);
    }
  });

  it("of a text, it is left out of a folder and told", async () => {
    const data = join(folder.dir, "texts");
    mkdirSync(data);
    writeFiles(data, { "a.txt": Array.from({ length: 200 }, (_, i) => `the cat number ${i}`).join("\n") });
    for (const name of ["a pipe", "a device", "a link to itself"]) KINDS[name]!.make(join(data, `${name}.txt`));
    symlinkSync(folder.dir, join(data, "folder.jsonl"));
    const { dataset, report } = await prepareData({
      paths: [data],
      tokenizerDir: NANO,
      cacheDir: join(folder.dir, "cache"),
    });
    dataset.close();
    expect(report.files.text).toBe(1);
    expect(report.notFiles).toEqual([
      { path: join(data, "a device.txt"), kind: "a device" },
      { path: join(data, "a link to itself.txt"), kind: "a link to none" },
      { path: join(data, "a pipe.txt"), kind: "a pipe" },
      { path: join(data, "folder.jsonl"), kind: "a link to a folder" },
    ]);
  });
});
