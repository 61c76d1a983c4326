import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const SUMBI = fileURLToPath(new URL("../../bin/sumbi.js", import.meta.url));
const dir = realpathSync(mkdtempSync(join(tmpdir(), "sumbi-ends-")));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

const SETTINGS = [
  "--set",
  "tokens=10240",
  "save.everySteps=4",
  "evaluate.everySteps=10",
  'data.paths=["builtin:smalltalk:200"]',
];
interface Ended {
  code: number | null;
  err: string;
}

/** Starts sumbi in the test's folder; `step` resolves when it has printed that step, `ended` when it is over. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [SUMBI, ...args], { cwd: dir });
  children.add(child);
  let out = "";
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code) => (children.delete(child), resolve({ code, err }))),
  );
  const step = (n: number) =>
    new Promise<void>((resolve, reject) => {
      child.stdout.on(
        "data",
        (chunk: Buffer) => (out += chunk.toString()).includes(`{"type":"step","step":${n},`) && resolve(),
      );
      void ended.then(({ code }) => reject(new Error(`ended with ${code} before step ${n}: ${err}`)));
    });
  return { child, ended, step };
}
const train = (runs: string, ...args: string[]) =>
  start("train", "tiny", "--no-web", "--json", "--runs", runs, ...args);
const sumbi = (...args: string[]) => start(...args).ended;
/** A command that sumbi printed, with more behind it. */
const printed = (command: string | undefined, ...more: string[]) =>
  sumbi(...(command ?? "").split(" ").slice(2), ...more);

const at = (...names: string[]) => join(dir, ...names);
const json = (...names: string[]) => JSON.parse(readFileSync(at(...names), "utf8")) as Record<string, unknown>;
const runsIn = (runs: string) =>
  existsSync(at(runs)) ? readdirSync(at(runs)).filter((name) => name.endsWith("-tiny")) : [];
const contents = (folder: string) =>
  Object.fromEntries(
    readdirSync(at(folder))
      .sort()
      .map((name) => [name, readFileSync(at(folder, name), "hex")]),
  );

describe("a model's folder", () => {
  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "is left as it is by a refused and by a stopped run; an export command writes the stopped one's model, and --overwrite only ours",
    async () => {
      expect(await train("a", "--out", "m", ...SETTINGS).ended).toMatchObject({
        code: 0,
        err: expect.stringMatching(/done: the model is in m\. Talk to it: npx sumbi chat m\n$/),
      });
      const first = json("m", "sumbi.json");
      expect(first).toMatchObject({ kind: "model", recipe: "tiny", step: 10, run: runsIn("a")[0] });
      writeFileSync(at("m", "NOTES.md"), "mine");
      const before = contents("m");

      const refused = await train("b", "--out", "m", ...SETTINGS).ended;
      expect(refused).toMatchObject({
        code: 1,
        err: expect.stringMatching(
          /^error: --out m: holds a model that Sumbi put there: that of run \S+ \(tiny, step 10\)\. Choose another folder with --out, or replace that model with --overwrite\n$/,
        ),
      });
      expect(existsSync(at("b"))).toBe(false);

      const stopping = train("b", "--out", "m", "--overwrite", ...SETTINGS);
      await stopping.step(5);
      stopping.child.kill("SIGTERM");
      const stopped = await stopping.ended;
      expect(stopped).toMatchObject({
        code: 130,
        err: expect.stringMatching(
          /\nsaving, then ending .*\nstopped; go on with: npx sumbi train tiny --resume \S+-tiny --runs b\nno model was written; /,
        ),
      });
      expect(contents("m")).toEqual(before);

      const exporting = /no model was written; the one of step (\d+): (npx sumbi runs export \S+-tiny --runs b)\n/.exec(
        stopped.err,
      );
      expect(await printed(exporting?.[2], "--out", "so far")).toMatchObject({ code: 0 });
      expect(json("so far", "sumbi.json")).toMatchObject({ run: runsIn("b")[0], step: Number(exporting?.[1]) });
      expect(readdirSync(at("so far"))).toEqual(
        expect.arrayContaining(["config.json", "model.safetensors", "recipe.json", "tokenizer.json"]),
      );

      const resuming = /go on with: (.*)\n/.exec(stopped.err)?.[1];
      expect(await printed(resuming, "--no-web")).toMatchObject({
        code: 1,
        err: expect.stringMatching(/m: holds a model that Sumbi put there/),
      });
      expect(await printed(resuming, "--no-web", "--overwrite")).toMatchObject({ code: 0 });
      expect(json("m", "sumbi.json")).toMatchObject({ run: runsIn("b")[0], step: 10 });
      expect(readFileSync(at("m", "NOTES.md"), "utf8")).toBe("mine");
      // The same recipe and seed: the weights are equal, whoever was interrupted.
      const weights = ({ files }: Record<string, unknown>) =>
        (files as { name: string }[]).find(({ name }) => name === "model.safetensors");
      expect(weights(json("m", "sumbi.json"))).toEqual(weights(first));
    },
    300_000,
  );

  it.skipIf(process.platform === "win32")(
    "of a run whose terminal is closed: the state is saved, as with Ctrl-C",
    async () => {
      const run = train("hup", "--out", "hup-model", ...SETTINGS);
      await run.step(2);
      run.child.kill("SIGHUP");
      // A closed terminal sends it twice: by itself, and through the shell.
      run.child.kill("SIGHUP");
      expect(await run.ended).toMatchObject({ code: 130, err: expect.stringMatching(/stopped; go on with/) });
      expect(readdirSync(at("hup", runsIn("hup")[0]!, "state")).length).toBe(2);
      expect(existsSync(at("hup-model"))).toBe(false);
    },
    120_000,
  );

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "that was taken meanwhile: exit 1, the model is whole beside its run, and the commands told put it elsewhere",
    async () => {
      const run = train("taken", "--out", "t", ...SETTINGS);
      await run.step(2);
      mkdirSync(at("t"));
      writeFileSync(at("t", "thesis.txt"), "ten years");
      const { code, err } = await run.ended;
      const id = runsIn("taken")[0]!;
      expect(code).toBe(1);
      expect(err).toMatch(
        /error: the model could not be put into .*t: .*holds files that Sumbi did not put there \(thesis\.txt\); nothing in it was changed/,
      );
      expect(err).toContain(`the model of step 10 is whole in ${join("taken", id, "model")}\n`);
      expect(readdirSync(at("t"))).toEqual(["thesis.txt"]);
      expect(json("taken", id, "model", "sumbi.json")).toMatchObject({ step: 10 });
      const told = [/elsewhere: (npx .*) --out DIR\n/, /\nor: (npx .*) --out DIR\n/].map(
        (pattern) => pattern.exec(err)?.[1],
      );
      expect(told).toEqual([
        `npx sumbi runs export ${id} --runs taken`,
        `npx sumbi train tiny --resume ${id} --runs taken`,
      ]);
      for (const [i, command] of told.entries()) {
        expect(await printed(command, "--out", `elsewhere-${i}`, ...(i === 1 ? ["--no-web"] : []))).toMatchObject({
          code: 0,
        });
        expect(json(`elsewhere-${i}`, "sumbi.json")).toMatchObject({ run: id, step: 10 });
      }
    },
    300_000,
  );

  it("that two runs shall have at once: one has it, whole, the other is told where its own is", async () => {
    const both = await Promise.all(["one", "two"].map((runs) => train(runs, "--out", "same", ...SETTINGS).ended));
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
    const loser = both.find(({ code }) => code === 1)!;
    // Told at its end, or before its first step when the other had ended by then.
    expect(loser.err).toMatch(/exists already|holds a model that Sumbi put there/);
    const winner = ["one", "two"][both.findIndex(({ code }) => code === 0)]!;
    expect(json("same", "sumbi.json")).toMatchObject({ run: runsIn(winner)[0] });
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
  }, 300_000);
});

describe("before the first step", () => {
  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "Ctrl-C ends at once, says so, and leaves nothing unfinished; what kill -9 leaves goes with the next training",
    async () => {
      const long = [
        "--set",
        'data.paths=["builtin:smalltalk:400000"]',
        'tokenizer={"vocabSize":512}',
        "data.workers=2",
      ];
      const unfinished = (runs: string) =>
        existsSync(at(runs, "cache")) ? readdirSync(at(runs, "cache")).filter((name) => name.startsWith(".")) : [];
      const counting = train("early", ...long);
      await new Promise((resolve) => setTimeout(resolve, 2500));
      counting.child.kill("SIGINT");
      const { code, err } = await counting.ended;
      // The signal may have come before there was anybody to hear it.
      if (code !== null)
        expect({ code, err }).toMatchObject({
          code: 130,
          err: expect.stringMatching(/^\nending; nothing has been trained yet, so there is nothing to save\n$/),
        });
      expect(unfinished("early")).toEqual([]);

      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        // A tokenizer of few words is made quickly, and then there are the shards.
        const cutting = train("early", "--set", 'data.paths=["builtin:smalltalk:60000"]', "data.workers=2");
        const isCutting = () =>
          unfinished("early").length > 0 &&
          readdirSync(at("early", "cache")).some((name) => name.startsWith("tokenizer-"));
        while (!isCutting() && cutting.child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
        cutting.child.kill(signal);
        await cutting.ended;
        expect(unfinished("early").length).toBe(signal === "SIGKILL" ? 1 : 0);
      }
      expect(runsIn("early")).toEqual([]);
      expect(await train("early", "--out", "after", ...SETTINGS).ended).toMatchObject({ code: 0 });
      expect(unfinished("early")).toEqual([]);
    },
    300_000,
  );

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "a runs folder that is a file or below one is refused without a stack",
    async () => {
      writeFileSync(at("file"), "");
      for (const runs of ["file", join("file", "runs")])
        expect(await train(runs, ...SETTINGS).ended).toMatchObject({
          code: 1,
          err: expect.stringMatching(
            /^error: --runs file\S*: expected a folder that can be written, but .* \(E[A-Z]+\)\. Choose another folder\n$/,
          ),
        });
      expect(await train("", ...SETTINGS).ended).toMatchObject({ code: 2 });
    },
    60_000,
  );
});

// Mounting takes root, and a system that knows tmpfs.
const mounts: string[] = [];
function mounted(name: string, size: string): boolean {
  try {
    mkdirSync(at(name));
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", at(name)], { stdio: "ignore" });
    mounts.push(at(name));
    return true;
  } catch {
    return false;
  }
}
describe.skipIf(!mounted("tiny-disk", "60k") || !mounted("disk", "24m"))("a disk", () => {
  afterAll(() => mounts.forEach((mount) => execFileSync("umount", [mount])));
  const fill = () => {
    const { bavail, bsize } = statfsSync(at("disk"));
    writeFileSync(at("disk", "ballast"), Buffer.alloc(bavail * bsize));
  };

  it("too small for the states is refused with the figures before the first step", async () => {
    expect(await train("tiny-disk/runs", "--out", "small", ...SETTINGS).ended).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /^error: train: expected about [\d.]+ MB of free disk for 3 states of [\d.]+ MB \([\d.]+ MB\), the model beside its run .*, but .*tiny-disk.* has [\d.]+ kB\. Free some, .*\n$/,
      ),
    });
    expect(readdirSync(at("tiny-disk"))).toEqual([]);
  }, 60_000);

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "that fills up in the middle does not end the training; the model is still written where there is room",
    async () => {
      const run = train("disk/runs", "--out", "saved", ...SETTINGS);
      await run.step(2);
      fill();
      const { code, err } = await run.ended;
      expect(err).not.toMatch(/\n\s+at /);
      expect(err).toMatch(/warn: .*log\.jsonl cannot be written: ENOSPC; training goes on without it/);
      expect(err).toMatch(
        /warn: the state of step 4 could not be saved: .*the disk is full.*the newest that is kept is of step 0/,
      );
      expect(err).toMatch(
        /warn: the last state could not be saved, so nothing can go on from step 10 but the model itself\n.*done: the model is in saved/,
      );
      expect(code).toBe(0);
      expect(json("saved", "sumbi.json")).toMatchObject({ step: 10 });
      rmSync(at("disk", "ballast"));
    },
    120_000,
  );

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "that fills up and has to hold the model too: exit 1, and what is lost is said",
    async () => {
      const run = train("disk/more", "--out", "disk/model", ...SETTINGS);
      await run.step(6);
      fill();
      const { code, err } = await run.ended;
      expect(err).not.toMatch(/\n\s+at /);
      expect(err).toMatch(/error: the model could not be put into .*the disk is full/);
      expect(err).toMatch(
        /lost: steps 5 to 10; the state of step 4 is kept\. Go on with: npx sumbi train tiny --resume \S+ --runs disk\/more\n$/,
      );
      expect(code).toBe(1);
      rmSync(at("disk", "ballast"));
      const resuming = /Go on with: (.*)\n/.exec(err)?.[1];
      expect(await printed(resuming, "--no-web")).toMatchObject({ code: 0 });
      expect(json("disk", "model", "sumbi.json")).toMatchObject({ step: 10 });
    },
    240_000,
  );
});
