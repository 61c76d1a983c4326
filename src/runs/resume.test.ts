/** A resumed run is the run that began: whatever became of its texts, its tokenizer, its files and its place. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { MODEL } from "../../test/train/fixture.ts";
import { CheckpointError, UsageError } from "../errors.ts";
import { clearCache } from "./clear.ts";
import { exportRun } from "./exportRun.ts";
import { prepareRun } from "./prepare.ts";
import type { TrainOptions } from "./prepared.ts";
import { RunReader } from "./reader.ts";
import type { RunInfo, RunRecord } from "./schema.ts";
import { type Outcome, trainRun } from "./train.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const STEPS = 12;
const STOP_AT = 7;
const LINES = Array.from(
  { length: 120 },
  (_, i) => `{"text":"Line ${i} of a story about ${["cats", "dogs", "birds"][i % 3]} that ran ${i * 7} miles."}\n`,
);
let whole: { losses: number[]; weights: Buffer };
/** A folder with texts, a recipe, and runs with one that was stopped; put back as it was before every test. */
const dir = join(temporary.dir, "work");
const begun = join(temporary.dir, "begun");

const recipe = {
  name: "story",
  model: { ...MODEL, vocab_size: 400 },
  tokenizer: { vocabSize: 320 },
  tokens: 8 * 16 * STEPS,
  sequence: 16,
  batch: { end: 8 },
  lanes: 1,
  data: { paths: ["texts"], holdout: 0.1, workers: 1 },
  learningRate: { warmupSteps: 3, stages: [{ from: 5e-3 }] },
  evaluate: { everySteps: 5, tokens: 64 },
  save: { everySteps: 3, keep: 2 },
};

interface Trained extends Outcome {
  events: string[];
  info: RunInfo;
  log: RunRecord[];
}
async function train(options: Partial<TrainOptions> & { stopAt?: number }): Promise<Trained> {
  const { stopAt, ...rest } = options;
  const stop = new AbortController();
  const events: string[] = [];
  const run = await prepareRun(
    join(dir, "story.jsonc"),
    { runs: join(dir, "runs"), out: join(dir, "out"), overwrite: true, ...rest },
    async () => 1e9,
    () => {},
  );
  const outcome = await trainRun(
    run,
    {
      step: ({ step }) => step === stopAt && stop.abort(),
      record: (record) => record.type === "event" && record.level !== "info" && events.push(record.message),
    },
    stop.signal,
  );
  const { log } = await new RunReader(options.runs ?? join(dir, "runs")).read(run.writer.id);
  return { ...outcome, events, info: run.writer.info, log };
}
const resume = (options: Partial<TrainOptions> & { stopAt?: number } = {}) => train({ resume: true, ...options });
const lossesOf = (log: readonly RunRecord[]): number[] =>
  log.flatMap((record) => (record.type === "step" ? [record.loss] : []));
const weights = () => readFileSync(join(dir, "out", "model.safetensors"));
const runDir = () => join(dir, "runs", readdirSync(join(dir, "runs")).find((name) => name.endsWith("-story")) ?? "");
const inCwd = async <T>(cwd: string, work: () => Promise<T>): Promise<T> => {
  const before = process.cwd();
  process.chdir(cwd);
  try {
    return await work();
  } finally {
    process.chdir(before);
  }
};
/** The run goes on to its end as if it had never been stopped. */
async function goesOn(options: Partial<TrainOptions> = {}): Promise<Trained> {
  const resumed = await resume(options);
  expect(resumed).toMatchObject({ reason: "done", step: STEPS, faults: [] });
  expect(lossesOf(resumed.log)).toEqual(whole.losses);
  expect(weights().equals(whole.weights)).toBe(true);
  return resumed;
}

beforeAll(async () => {
  mkdirSync(join(dir, "texts"), { recursive: true });
  writeFileSync(join(dir, "texts", "a.jsonl"), LINES.slice(0, 60).join(""));
  writeFileSync(join(dir, "texts", "b.jsonl"), LINES.slice(60).join(""));
  writeFileSync(join(dir, "story.jsonc"), JSON.stringify(recipe));
  await inCwd(dir, async () => {
    const complete = await train({ runs: join(dir, "whole") });
    whole = { losses: lossesOf(complete.log), weights: weights() };
    expect(whole.losses).toHaveLength(STEPS);
    for (const name of ["out", "whole"]) rmSync(join(dir, name), { recursive: true });
    expect(await train({ stopAt: STOP_AT })).toMatchObject({ reason: "stopped", step: STOP_AT });
  });
  cpSync(dir, begun, { recursive: true, preserveTimestamps: true });
});
beforeEach(() => {
  rmSync(dir, { recursive: true, force: true });
  cpSync(begun, dir, { recursive: true, preserveTimestamps: true });
});

const a = join(dir, "texts", "a.jsonl");
const cache = join(dir, "runs", "cache");
/** Changes a letter, and puts size and times back. */
function editUnseen(path: string): void {
  const { atime, mtime } = statSync(path);
  writeFileSync(path, readFileSync(path, "utf8").replace("cats", "rats"));
  utimesSync(path, atime, mtime);
}
function flipBit(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}
const editInfo = (change: (info: RunInfo) => void): void => {
  const path = join(runDir(), "run.json");
  const info = JSON.parse(readFileSync(path, "utf8")) as RunInfo;
  change(info);
  writeFileSync(path, JSON.stringify(info));
};

describe("goes on with the same losses, bit for bit", () => {
  test("when nothing was touched, and says nothing", async () => {
    expect((await goesOn()).events).toEqual([]);
  });

  test("when the texts were edited, and says so in one line", async () => {
    appendFileSync(a, '{"text":"One more story."}\n');
    expect((await goesOn()).events).toEqual([
      `the texts (${join(dir, "texts")}) were changed since the run began; it goes on with the tokens that it began with`,
    ]);
  });

  test("when a letter was edited unseen, and another run prepared the new texts in the same cache", async () => {
    editUnseen(a);
    const other = await inCwd(dir, () => train({ set: ["name=other"], stopAt: 1 }));
    expect(other.info.binding?.shards).not.toBe(
      (await new RunReader(join(dir, "runs")).info(runDir().split(/[\\/]/).at(-1) ?? "")).binding?.shards,
    );
    await goesOn();
  });

  test("when the texts are gone", async () => {
    rmSync(join(dir, "texts"), { recursive: true });
    expect((await goesOn()).events).toEqual([
      expect.stringMatching(/^the texts \(.*texts\) are gone since the run began; it goes on with the tokens/),
    ]);
  });

  test("when the cache is gone and the texts still say the same", async () => {
    rmSync(cache, { recursive: true });
    expect((await goesOn()).events).toEqual([
      expect.stringMatching(
        /^the run's tokens were gone or damaged and were made again of the same texts: .*the shards are gone/,
      ),
    ]);
  });

  test("when a shard has a flipped bit and the texts still say the same", async () => {
    const shards = join(cache, readdirSync(cache).find((name) => name.startsWith("shards-")) ?? "");
    flipBit(join(shards, readdirSync(shards).find((name) => name.startsWith("train")) ?? ""));
    expect((await goesOn()).events).toEqual([
      expect.stringMatching(/made again of the same texts: .*is not as it was written \(its hash differs\)/),
    ]);
  });

  test("from another working directory, and when the runs folder was moved", async () => {
    renameSync(join(dir, "runs"), join(dir, "moved"));
    mkdirSync(join(dir, "elsewhere"));
    const resumed = await inCwd(join(dir, "elsewhere"), () =>
      train({ resume: true, runs: join("..", "moved"), out: join("..", "out") }),
    );
    expect(resumed).toMatchObject({ reason: "done", step: STEPS, events: [] });
    expect(lossesOf(resumed.log)).toEqual(whole.losses);
    expect(weights().equals(whole.weights)).toBe(true);
    // Nobody learns from the model where its maker's files are, as far as that can be left out.
    const { data } = JSON.parse(readFileSync(join(dir, "out", "recipe.json"), "utf8")) as typeof recipe;
    expect(data.paths).toEqual([join(dir, "texts")]);
  });

  test("when the newest state is damaged: told, and the one before is taken", async () => {
    flipBit(join(runDir(), "state", "step-00000007", "model.safetensors"));
    const { events, log } = await goesOn();
    expect(events).toEqual([
      expect.stringMatching(
        /a saved state is damaged and was passed over: .*step-00000007: tensor "moment1" is not as it was saved/,
      ),
    ]);
    expect(log).toContainEqual({ type: "event", step: 6, level: "info", message: "resumed at step 6" });
  });

  test("when its log is gone, and says so", async () => {
    rmSync(join(runDir(), "log.jsonl"));
    const resumed = await resume();
    expect(lossesOf(resumed.log)).toEqual(whole.losses.slice(STOP_AT));
    expect(weights().equals(whole.weights)).toBe(true);
    expect(resumed.events).toEqual([
      "log.jsonl tells of no step, the newest state is of step 7: what the log said of those between is lost, the model is not",
    ]);
  });

  test("from the state of a step that was chosen", async () => {
    const { log } = await goesOn({ resumeFrom: 6, resume: undefined });
    expect(log).toContainEqual({ type: "event", step: 6, level: "info", message: "resumed at step 6" });
  });

  test("when settings were changed that the losses do not depend on, which run.json and the log remember", async () => {
    const { info, log } = await goesOn({
      set: [
        "spike.rollbacks=11",
        "save.everySteps=50",
        "evaluate.everySteps=50",
        'samples=[{"ask":"Who ran?"}]',
        "cost.watts=65",
      ],
    });
    const settings = [
      "spike.rollbacks 5 → 11",
      "save.everySteps 3 → 50",
      "evaluate.everySteps 5 → 50",
      'samples [] → [{"ask":"Who ran?"}]',
    ];
    expect(info.changes).toEqual([{ at: expect.stringMatching(/^\d{4}-/), settings }]);
    expect(info.recipe).toMatchObject({ spike: { rollbacks: 11, factor: 1.5 }, save: { everySteps: 50, keep: 2 } });
    expect(log).toContainEqual({
      type: "event",
      step: 7,
      level: "info",
      message: `settings changed from here on: ${settings.join(", ")}`,
    });
    expect(await new RunReader(join(dir, "runs")).info(info.id)).toEqual(info);
  });

  test("a changed learning rate counts from the resumed step on, and stays changed at the next resume", async () => {
    const first = await resume({ set: ["learningRate.stages.0.from=0.001"], stopAt: 9 });
    expect(first.reason).toBe("stopped");
    const { log } = await resume();
    const losses = lossesOf(log);
    expect(losses.slice(0, STOP_AT + 1)).toEqual(whole.losses.slice(0, STOP_AT + 1));
    expect(losses[STOP_AT + 1]).not.toBe(whole.losses[STOP_AT + 1]);
    expect(log.flatMap((record) => (record.type === "step" ? [record.lr] : [])).slice(-5)).toEqual([
      0.001, 0.001, 0.001, 0.001, 0.001,
    ]);
  });
});

describe("is refused, and the run left as it was", () => {
  const refused = async (
    message: RegExp | string,
    options: Partial<TrainOptions> = {},
    kind: new (message: string) => Error = CheckpointError,
  ) => {
    const before = (await new RunReader(join(dir, "runs")).list()).filter(({ recipeName }) => recipeName === "story");
    const failed = await resume(options).catch((error: unknown) => error);
    if (failed instanceof Error) {
      expect(failed).toBeInstanceOf(kind);
      expect(failed.message).toMatch(message);
    } else expect(failed).toMatchObject({ reason: "failed", faults: [expect.stringMatching(message)] });
    expect(existsSync(join(dir, "out"))).toBe(false);
    expect(
      (await new RunReader(join(dir, "runs")).list())
        .filter(({ recipeName }) => recipeName === "story")
        .map(({ step, loss }) => ({ step, loss })),
    ).toEqual(before.map(({ step, loss }) => ({ step, loss })));
  };

  test("when tokens and texts are gone, or the texts changed", async () => {
    rmSync(cache, { recursive: true });
    editUnseen(a);
    await refused(
      /expected the tokens that the run began with: .*the shards are gone\. They cannot be made again: what the texts \(.*\) say now is not what they said/,
    );
    rmSync(join(dir, "texts"), { recursive: true });
    await refused(
      /expected the tokens that the run began with: .*the shards are gone\. They cannot be made again: .*texts: expected a file, folder, glob/,
    );
  });

  test("when its tokenizer is another, or gone", async () => {
    flipBit(join(runDir(), "tokenizer", "tokenizer.json"));
    await refused(/tokenizer: the run's tokenizer is not the one that it began with/);
    rmSync(join(runDir(), "tokenizer"), { recursive: true });
    await refused(/tokenizer: the run's tokenizer is gone/);
  });

  test("when run.json was edited: recipe, model, or binding", async () => {
    editInfo((info) => (info.recipe["tokens"] = 1e6));
    await refused(/run\.json: recipe or model: not as the run began with/);
    cpSync(join(begun, "runs"), join(dir, "runs"), { recursive: true });
    editInfo((info) => ((info.model ?? {})["rope_theta"] = 5));
    await refused(/run\.json: recipe or model: not as the run began with/);
    cpSync(join(begun, "runs"), join(dir, "runs"), { recursive: true });
    // a setting that may change, but not unseen
    editInfo((info) => ((info.recipe["learningRate"] as Record<string, unknown>)["peak"] = 0.5));
    await refused(/run\.json: recipe: not as it was written .* --set KEY=VALUE/);
    cpSync(join(begun, "runs"), join(dir, "runs"), { recursive: true });
    editInfo((info) => info.binding && (info.binding.layout = "0".repeat(64)));
    await refused(/expected parameters laid out as when the run began/);
    editInfo((info) => info.binding && (info.binding.layout = "x"));
    await expect(resume({ resume: runDir().split(/[\\/]/).at(-1) })).rejects.toThrow(
      /run\.json: binding\.layout: expected a SHA-256 in hex/,
    );
  });

  test("when an older version began it: it is listed, and the reason told", async () => {
    editInfo((info) => delete info.binding);
    await refused(
      /run\.json: binding: expected fingerprints of the tokenizer and the texts, got none: an older Sumbi began this run/,
    );
    expect(await new RunReader(join(dir, "runs")).list()).toMatchObject([
      { recipeName: "story", status: "stopped", step: STOP_AT },
    ]);
    await expect(exportRun(runDir().split(/[\\/]/).at(-1) ?? "", { runs: join(dir, "runs") })).rejects.toThrow(
      /an older Sumbi began this run/,
    );
  });

  test("when its states are gone, are another run's, or are all damaged", async () => {
    rmSync(join(runDir(), "state"), { recursive: true });
    await refused(/state: expected a state of the run, which came to step 7, found none/);
    await inCwd(dir, () => train({ set: ["name=other", "seed=5"], stopAt: 2 }));
    const other = readdirSync(join(dir, "runs")).find((name) => name.endsWith("-other")) ?? "";
    cpSync(join(dir, "runs", other, "state"), join(runDir(), "state"), { recursive: true });
    await refused(/no state can be read: .*state\.json: binding: this state was trained with another recipe or model/);
  });

  test("when the state that was chosen is damaged, or there is none of that step", async () => {
    flipBit(join(runDir(), "state", "step-00000006", "model.safetensors"));
    await refused(/step-00000006: tensor "moment1" is not as it was saved/, { resumeFrom: 6 });
    await refused(/expected a state of step 5, found those of 6, 7/, { resumeFrom: 5 });
  });

  test.each([
    ["tokens=1e6", "--resume: tokens cannot change: it lays down the order of the batches"],
    ["model.rope_theta=5", "--resume: model.rope_theta cannot change: the saved state was made by it"],
    ["data.holdout=0.2", "--resume: data.holdout cannot change: the texts are read and tokenised already"],
    [
      "evaluate.tokens=5",
      "--resume: evaluate.tokens cannot change: held-out losses before and after would not compare",
    ],
    ["adamw.beta1=0.5", "--resume: adamw.beta1 cannot change: what the optimizer and the routing remember"],
    [
      "precision=int8",
      "--resume: precision cannot change: the saved state was made by it. What may: learningRate.*, spike.*, save.*, evaluate.everySteps, samples, cost.*. Start a new run for the rest",
    ],
    ["colour=red", "--resume: colour cannot change: it is no key of a recipe"],
    ["__proto__.x=1", "--resume: __proto__.x cannot change: it is no key of a recipe"],
  ])("when --set %s asks for what cannot change", async (setting, message) => {
    const info = readFileSync(join(runDir(), "run.json"));
    await expect(resume({ set: ["spike.rollbacks=9", setting] })).rejects.toThrow(message);
    await expect(resume({ set: [setting] })).rejects.toBeInstanceOf(UsageError);
    expect(readFileSync(join(runDir(), "run.json"))).toEqual(info);
  });

  test("when a changed setting has a wrong value, or other texts are given", async () => {
    await expect(resume({ set: ["spike.rollbacks=-1"] })).rejects.toThrow(/--set: 1 fault\s+spike\.rollbacks/);
    await expect(resume({ data: ["texts"] })).rejects.toThrow(/goes on with the texts that it began with/);
    await expect(resume({ resume: "none" })).rejects.toThrow(/found no run none/);
  });
});

describe("the cache", () => {
  test("is cleared of all but what runs here can go on with", async () => {
    const past = new Date(Date.now() - 2 * 3_600_000);
    const age = () => readdirSync(cache).forEach((name) => utimesSync(join(cache, name), past, past));
    age();
    expect(await clearCache(join(dir, "runs"))).toMatchObject({ removed: 0, needed: 1, recent: 0 });
    expect((await goesOn()).events).toEqual([]);
    age();
    expect(await clearCache(join(dir, "runs"))).toMatchObject({ removed: 1, needed: 0, recent: 0 });
    expect(readdirSync(cache)).toEqual([]);
    writeFileSync(join(runDir(), "run.json"), "{");
    await expect(clearCache(join(dir, "runs"))).rejects.toThrow(
      /cannot be read, so that nobody knows which tokens it needs; nothing was removed/,
    );
  });
});

describe("a tokenizer that the recipe names", () => {
  test("is copied: what becomes of its folder later is nothing to the run", async () => {
    cpSync(join(runDir(), "tokenizer"), join(dir, "given"), { recursive: true });
    await inCwd(dir, () => train({ set: ["name=given", 'tokenizer={"from":"given"}'], stopAt: 2 }));
    const given = await new RunReader(join(dir, "runs")).list();
    const { id } = given.find(({ recipeName }) => recipeName === "given") ?? { id: "" };
    expect((await new RunReader(join(dir, "runs")).info(id)).recipe["tokenizer"]).toEqual({ from: join(dir, "given") });
    flipBit(join(dir, "given", "tokenizer.json"));
    rmSync(join(dir, "given", "tokenizer_config.json"));
    expect(await train({ resume: id })).toMatchObject({ reason: "done", events: [] });
  });
});

describe("weights that are not numbers", () => {
  test("are not exported, by name: neither at the end of a run nor later", async () => {
    const id = runDir().split(/[\\/]/).at(-1) ?? "";
    const run = await prepareRun(
      join(dir, "story.jsonc"),
      { runs: join(dir, "runs"), out: join(dir, "out"), resume: id },
      async () => 1e9,
      () => {},
    );
    const expert = "model.layers.1.mlp.experts.3.up_proj.weight";
    const outcome = await trainRun(
      run,
      { step: ({ step }) => step === STEPS && run.store.parameter(expert).data.fill(NaN, 0, 100), record: () => {} },
      new AbortController().signal,
    );
    expect(outcome.reason).toBe("failed");
    expect(outcome.faults.join()).toContain(`${expert}: 100 of 512 values are NaN or infinite`);
    expect(existsSync(join(dir, "out"))).toBe(false);
    expect(existsSync(join(runDir(), "model"))).toBe(false);
    // What was saved before is whole, and the run goes on from it.
    rmSync(join(dir, "out"), { recursive: true, force: true });
    await goesOn();
  });
});

describe("--resume with a recipe's name", () => {
  const damaged = (name: string) => {
    mkdirSync(join(dir, "runs", name));
    writeFileSync(join(dir, "runs", name, "run.json"), "{");
  };

  test("tells of newer runs that cannot be read and may have been meant, and of no others", async () => {
    damaged("29990101-000000-story");
    damaged("20000101-000000-story");
    damaged("29990101-000000-poem");
    const { events } = await goesOn();
    expect(events).toEqual([
      expect.stringMatching(
        /going on with .*-story; passed over 29990101-000000-story, which cannot be read: .*run\.json: /,
      ),
    ]);
    expect(events[0]).not.toMatch(/20000101|poem/);
  });

  test("names them where there is no other", async () => {
    const runs = join(dir, "others");
    mkdirSync(join(runs, "20000101-000000-story"), { recursive: true });
    writeFileSync(join(runs, "20000101-000000-story", "run.json"), "{");
    await expect(resume({ runs })).rejects.toThrow(
      /found no run of recipe story in .* but 20000101-000000-story, which cannot be read/,
    );
    await expect(resume({ runs, resume: "20000101-000000-story" })).rejects.toThrow(/run\.json/);
    await expect(resume({ runs, resume: "nothing" })).rejects.toThrow(UsageError);
  });
});
