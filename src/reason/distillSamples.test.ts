import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { completion, fakeEndpoint } from "../../test/support/fakeEndpoint.ts";
import { untrainedModel } from "../../test/support/untrained.ts";
import { type DistillSamplesRequest, distillSamples, parseSamplesPlan, type SamplesStage } from "./distillSamples.ts";

const temporary = temporaryFolder();
const at = (name: string): string => join(temporary.dir, name);
beforeAll(() => untrainedModel(at("student")));
afterAll(() => temporary[Symbol.dispose]());

const SET = {
  maxTokens: 40,
  sample: { n: 40, k: 2 },
  sft: { epochs: 0.2, batch: 2, microBatch: 2, holdout: 0, save: { everySteps: 1, keep: 2 }, lora: { rank: 2 } },
};
const sumOf = (question: string): number => (question.match(/\d+/g) ?? []).reduce((sum, part) => sum + Number(part), 0);

it("samples a teacher and fine-tunes the student; ended in either stage, the same command goes on", async () => {
  await using server = await fakeEndpoint(({ messages }) => ({
    body: completion({ content: String(sumOf(messages.at(-1)!.content)), reasoning_content: "I add." }),
  }));
  const run = async (more: Partial<DistillSamplesRequest> = {}) => {
    const stages: SamplesStage[] = [];
    const request = { model: at("student"), teacher: server.url, task: "sum-3", out: at("taught"), set: SET };
    const onStage = (stage: SamplesStage) => void stages.push(stage);
    return { result: await distillSamples({ ...request, runs: at("runs"), onStage, ...more }), stages };
  };
  const first = new AbortController();
  const onProgress: DistillSamplesRequest["onProgress"] = ({ done }) => void (done >= 32 && first.abort());
  expect(await run({ signal: first.signal, onProgress })).toEqual({
    result: { reason: "stopped", stage: "sample" },
    stages: ["sample"],
  });
  await expect(run({ set: { ...SET, maxTokens: 41 } })).rejects.toThrow(/this chain was begun with another/);
  const second = new AbortController();
  const gone = await run({ signal: second.signal, onStep: ({ step }) => void (step === 2 && second.abort()) });
  expect(gone).toMatchObject({ result: { reason: "stopped", stage: "sft" }, stages: ["sample", "sft"] });
  expect(server.asked).toHaveLength(80);
  const steps: number[] = [];
  const last = await run({ onStep: ({ step }) => void steps.push(step) });
  expect(last.stages).toEqual(["sft"]);
  expect(steps).toEqual([3, 4]);
  expect(last.result).toMatchObject({ reason: "done", teacher: { answers: 80 }, model: at("taught") });
  const { seconds, joules } = last.result.teacher!;
  expect(seconds).toBeGreaterThan(0);
  expect(joules).toBeCloseTo(65 * seconds, 6);
  expect(existsSync(join(at("taught"), "adapter_config.json"))).toBe(true);
  expect(await run()).toMatchObject({ result: { reason: "done", teacher: { answers: 80 } }, stages: [] });
});

it("checks both stages' values before anything is done", () => {
  expect(() => parseSamplesPlan({ sft: { epoch: 1 } })).toThrow(/sft: .*epoch/);
  expect(() => parseSamplesPlan({ sample: { task: "sum-3" } })).toThrow(/task/);
  expect(parseSamplesPlan({ maxTokens: 9, seed: 3 }).sft).toMatchObject({ seed: 3, evaluate: { maxTokens: 9 } });
});
