/** The front door: a model from a file of text in one call, stopped and gone on with, and every fault a SumbiError. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { MODEL } from "../../test/train/fixture.ts";
import { StopError, SumbiError } from "../errors.ts";
import { type StartedRun, TrainError, type TrainRequest, train } from "./frontDoor.ts";
import { readTraining } from "./training.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const at = (name: string) => join(temporary.dir, name);
const recipe = {
  name: "story",
  model: { ...MODEL, vocab_size: 400 },
  tokenizer: { vocabSize: 320 },
  tokens: 8 * 16 * 6,
  sequence: 16,
  batch: { end: 8 },
  lanes: 1,
  data: { paths: [], holdout: 0.1, workers: 1 },
  learningRate: { warmupSteps: 3, stages: [{ from: 5e-3 }] },
  evaluate: { everySteps: 5, tokens: 64 },
  samples: ["Line"],
};
const request = (more: Partial<TrainRequest> = {}): TrainRequest => ({
  recipe,
  data: at("texts"),
  runs: at("runs"),
  out: at("out"),
  ...more,
});

beforeAll(() => {
  mkdirSync(at("texts"));
  const lines = Array.from({ length: 80 }, (_, i) => `Line ${i} of a story about cats that ran ${i * 7} miles.\n`);
  writeFileSync(join(at("texts"), "story.txt"), lines.join(""));
});

describe("train", () => {
  test("trains on a folder of text, tells how it goes and where the model is", async () => {
    const losses: number[] = [];
    const told = new Set<string>();
    let started: StartedRun | undefined;
    const result = await train(
      request({
        onProgress: ({ label }) => void told.add(label),
        onStart: (run) => void (started = run),
        onStep: ({ loss }) => void losses.push(loss),
        onRecord: ({ type }) => void told.add(type),
        onExport: () => void told.add("export"),
      }),
    );
    expect(result).toMatchObject({ reason: "done", step: 6, saved: 6, model: at("out"), id: started?.id });
    expect(started).toMatchObject({ out: at("out"), dir: result.dir, recipe: { tokens: 768 } });
    expect(started?.notes.map(({ message }) => message).join()).toContain("read 1 text file");
    expect(losses).toHaveLength(6);
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
    for (const kind of ["eval", "sample", "checkpoint", "export"]) expect(told).toContain(kind);
    expect(JSON.parse(readFileSync(join(at("out"), "recipe.json"), "utf8"))).toMatchObject({ name: "story" });
    const training = readTraining(at("out"))!;
    expect(training).toMatchObject({ stages: 1, machine: expect.any(String) });
    for (const amount of [training.tokens, training.seconds, training.joules, training.usd])
      expect(amount).toBeGreaterThan(0);
  });

  test("stops and saves at a signal, and goes on by the run's id to the model that it would have been", async () => {
    const stop = new AbortController();
    const out = at("stopped");
    const first = await train(request({ out, signal: stop.signal, onStep: ({ step }) => step === 3 && stop.abort() }));
    expect(first).toMatchObject({ reason: "stopped", step: 3, saved: 3 });
    expect(first).not.toHaveProperty("model");
    expect(existsSync(out)).toBe(false);
    const { data: _, ...rest } = request({ out });
    expect(await train({ ...rest, resume: first.id })).toMatchObject({ reason: "done", step: 6, model: out });
    const weights = (dir: string) => readFileSync(join(dir, "model.safetensors"));
    expect(weights(out).equals(weights(at("out")))).toBe(true);
  });

  test("takes settings by key, or as the command line has them", async () => {
    for (const set of [{ tokens: 256, "learningRate.warmupSteps": 1 }, ["tokens=256", "learningRate.warmupSteps=1"]]) {
      const stop = new AbortController();
      const onStart = ({ recipe: decided }: StartedRun): void => {
        expect(decided).toMatchObject({ tokens: 256, learningRate: { warmupSteps: 1 } });
        stop.abort();
      };
      const stopped = await train(request({ out: at("never"), set, onStart, signal: stop.signal }));
      expect(stopped).toMatchObject({ reason: "stopped", step: 0 });
    }
  });

  test("raises nothing but SumbiErrors: before the first step, at a signal then, and after it", async () => {
    const wrong: [Partial<TrainRequest>, RegExp][] = [
      [{ data: at("none") }, /none/],
      [{ recipe: "no-such-recipe" }, /expected a recipe file or one of .*tiny/],
      [{ recipe: { name: "x" } }, /recipe/],
      [{ recipe: { self: 1n } }, /expected an object that JSON can hold/],
      [{ set: { tokens: -1 } }, /tokens/],
      [{ resume: "20200101-000000-none", data: undefined }, /found no run 20200101/],
      [{ out: at("texts") }, /texts/],
    ];
    for (const [more, message] of wrong) {
      const error = await train(request(more)).catch((e: unknown) => e);
      expect(error, String(message)).toBeInstanceOf(SumbiError);
      expect((error as Error).message).toMatch(message);
    }
    await expect(train(request({ out: at("early"), signal: AbortSignal.abort() }))).rejects.toThrow(StopError);
    const failed = await train(
      request({ out: at("late"), onExport: () => writeFileSync(at("late"), "somebody else's") }),
    ).catch((e: unknown) => e);
    expect(failed).toBeInstanceOf(TrainError);
    expect((failed as TrainError).outcome).toMatchObject({ reason: "failed", step: 6, saved: 6 });
    expect((failed as TrainError).message).toContain("late");
  });
});
