import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { untrainedModel } from "../../test/support/untrained.ts";
import { parsePlan, type R1Request, type R1Stage, r1 } from "./r1.ts";
import { splitOf } from "./task.ts";

const temporary = temporaryFolder();
const MODEL = join(temporary.dir, "model");
const OWN = join(temporary.dir, "letters.mjs");
beforeAll(async () => {
  await untrainedModel(MODEL);
  // whatever is said is right enough to be kept, and not all is worth the same
  writeFileSync(
    OWN,
    `export const problem = (random) => ({ prompt: "Say " + random.int(1000, 9999), answer: "e" });
export const weights = { answer: 1, letters: 1 };
export const score = (problem, reply) => ({ answer: 1, letters: [...reply.text].filter((c) => "aeiou1357".includes(c)).length / (1 + reply.text.length) });
export const solve = () => ({ thought: "e", answer: "e" });`,
  );
});
afterAll(() => temporary[Symbol.dispose]());

const REINFORCE = {
  steps: 1,
  problems: 2,
  group: 2,
  gateSamples: 16,
  microBatch: 4,
  evaluate: { everySteps: 5, problems: 2 },
  resample: 1,
};
const TUNE = {
  epochs: 1,
  batch: 4,
  microBatch: 4,
  holdout: 0,
  evaluate: { everySteps: 9, problems: 2, maxTokens: 8 },
  save: { everySteps: 1, keep: 2 },
};
const SET = {
  maxTokens: 8,
  coldStart: { ...TUNE, texts: 16, epochs: 3, learningRate: 0.01, warmupSteps: 2 },
  grpo1: REINFORCE,
  sample: { n: 8, k: 4, want: {} },
  sft: TUNE,
  grpo2: REINFORCE,
};

async function run(name: string, more: Partial<R1Request> = {}) {
  const stages: R1Stage[] = [];
  const result = await r1({
    model: MODEL,
    task: OWN,
    set: SET,
    runs: join(temporary.dir, "runs"),
    out: join(temporary.dir, name),
    ...more,
    onStage: (stage) => void stages.push(stage),
  });
  return { result, stages };
}
const weightsOf = (name: string): Buffer => readFileSync(join(temporary.dir, name, "model.safetensors"));

// five stages twice, most of it compiling
it.runIf(process.env["SUMBI_TEST"] === "full")(
  "runs its stages one after the other; ended in any, the same command goes on and ends with the same weights",
  async () => {
    const whole = await run("whole");
    expect(whole).toMatchObject({
      result: { reason: "done" },
      stages: ["coldStart", "grpo1", "sample", "sft", "grpo2"],
    });
    for (const line of readFileSync(join(temporary.dir, "whole.r1", "3-sample.jsonl"), "utf8")
      .trim()
      .split("\n"))
      expect(splitOf((JSON.parse(line) as { group: string }).group)).toBe("train");

    const first = new AbortController();
    const started = await run("pieces", {
      signal: first.signal,
      onTune: (_, { step }) => void (step === 2 && first.abort(new Error("stop"))),
    });
    expect(started.result).toMatchObject({ reason: "stopped", stage: "coldStart" });
    await expect(run("pieces", { set: { ...SET, maxTokens: 9 } })).rejects.toThrow(
      /this chain was begun with another model, task or values/,
    );
    const second = new AbortController();
    const gone = await run("pieces", { signal: second.signal, onReinforce: () => second.abort(new Error("stop")) });
    expect(gone.stages).toEqual(["coldStart", "grpo1"]);
    const last = await run("pieces");
    expect(last).toMatchObject({ result: { reason: "done" } });
    expect(weightsOf("pieces").equals(weightsOf("whole"))).toBe(true);
    expect((await run("pieces")).stages).toEqual([]);
  },
);

it("checks all values before anything is done", async () => {
  expect(() => parsePlan({ grpo1: { grouped: 3 } })).toThrow(/grpo1: .*grouped/);
  expect(() => parsePlan({ coldStart: { epochs: 0 } })).toThrow(/coldStart: epochs/);
  await expect(run("never", { set: { grpo1: { task: "countdown-9" } } })).rejects.toThrow(/task countdown-9: expected/);
});
