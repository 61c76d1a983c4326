import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { untrainedModel } from "../../test/support/untrained.ts";
import { readAdapter } from "../checkpoint/index.ts";
import { loadTokenizer } from "../data/index.ts";
import { parseConfig } from "../model/index.ts";
import { checkpointConfig } from "../runs/index.ts";
import { exampleAt, exampleBatches, tokensOf } from "./exampleBatches.ts";
import { dividedByQuestion, type Example, loadExamples } from "./examples.ts";
import { rateAt, type SftReport, type SftRequest, sft } from "./sft.ts";
import { parseSft } from "./sftOptions.ts";
import { splitOf } from "./task.ts";

const temporary = temporaryFolder();
const MODEL = join(temporary.dir, "model");
const DATA = join(temporary.dir, "messages.jsonl");
beforeAll(async () => {
  await untrainedModel(MODEL);
  const lines = Array.from({ length: 24 }, (_, i) => ({
    messages: [
      { role: "user", content: `${i}+1` },
      { role: "assistant", content: `<think>${i} and one</think>${i + 1}` },
    ],
  }));
  writeFileSync(DATA, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
});
afterAll(() => temporary[Symbol.dispose]());

const SET = {
  epochs: 1,
  batch: 4,
  microBatch: 2,
  holdout: 0.1,
  evaluate: { everySteps: 2 },
  save: { everySteps: 1, keep: 2 },
};
async function run(name: string, more: Partial<SftRequest> = {}) {
  const reports: SftReport[] = [];
  const losses: number[] = [];
  const result = await sft({
    ...(more.resume === undefined ? { model: MODEL, data: [DATA], set: SET } : {}),
    runs: join(temporary.dir, "runs"),
    out: join(temporary.dir, name),
    ...more,
    onStep(report, eta) {
      reports.push(report);
      more.onStep?.(report, eta);
    },
    onRecord: (record) => void (record.type === "eval" && losses.push(record.loss)),
  });
  return { result, reports, losses };
}
const weightsOf = (name: string): Buffer => readFileSync(join(temporary.dir, name, "model.safetensors"));
const told = ({ step, loss, gradNorm, learningRate }: SftReport) => [step, loss, gradNorm, learningRate];

it("learns replies, and ends with the same weights when it was stopped on the way; other texts are refused then", async () => {
  const whole = await run("whole");
  expect(whole.result).toMatchObject({ reason: "done", step: 6 });
  expect(whole.losses).toHaveLength(4);
  expect(whole.losses.at(-1)).toBeLessThan(whole.losses[0]!);
  const stop = new AbortController();
  const first = await run("pieces", { signal: stop.signal, onStep: ({ step }) => void (step === 2 && stop.abort()) });
  expect(first.result).toMatchObject({ reason: "stopped", step: 2 });
  const texts = readFileSync(DATA, "utf8");
  writeFileSync(DATA, texts.replace("0+1", "0-1"));
  await expect(run("pieces", { resume: first.result.id })).rejects.toThrow(
    /messages\.jsonl: expected the texts that the run began with/,
  );
  writeFileSync(DATA, texts);
  await expect(run("pieces", { resume: first.result.id, set: { batch: 8 } })).rejects.toThrow(
    /--set batch: cannot change/,
  );
  const second = await run("pieces", { resume: first.result.id });
  expect([...first.reports, ...second.reports].map(told)).toEqual(whole.reports.map(told));
  expect(weightsOf("pieces").equals(weightsOf("whole"))).toBe(true);
});

it("trains adapters instead, as exactly, and gives them away in PEFT's form", async () => {
  const set = { ...SET, epochs: 0.5, warmupSteps: 1, lora: { rank: 2, targets: ["o_proj", "down_proj"] } };
  const whole = await run("adapter", { set });
  expect(whole.result).toMatchObject({ reason: "done", step: 3 });
  expect(whole.losses.at(-1)).toBeLessThan(whole.losses[0]!);
  expect(whole.reports[0]!.learningRate).toBeCloseTo(10 * parseSft({}).learningRate);
  const stop = new AbortController();
  const first = await run("adapter-pieces", {
    set,
    signal: stop.signal,
    onStep: ({ step }) => void (step === 1 && stop.abort()),
  });
  const second = await run("adapter-pieces", { resume: first.result.id });
  expect([...first.reports, ...second.reports].map(told)).toEqual(whole.reports.map(told));
  const config = parseConfig(await checkpointConfig(MODEL), MODEL);
  const [one, other] = await Promise.all(
    ["adapter", "adapter-pieces"].map((name) => readAdapter(join(temporary.dir, name), config)),
  );
  expect(one).toMatchObject({ lora: { rank: 2, alpha: 32 } });
  expect(other!.tensors).toEqual(one!.tensors);
  const moved = [...one!.tensors].filter(([key]) => key.endsWith("lora_B.weight"));
  expect(moved.every(([, { data }]) => data.some((x) => x !== 0))).toBe(true);
});

it("refuses a speed of routers where adapters are trained, and what memory has no room for", async () => {
  const refused = (set: object) => run("refused", { set: { ...SET, ...set } });
  await expect(refused({ gamma: 0.1, lora: { rank: 2 } })).rejects.toThrow(/gamma: the model has no routers/);
  const memory = vi.spyOn(process, "availableMemory").mockReturnValue(1e6);
  try {
    await expect(refused({})).rejects.toThrow(/of memory for the weights .*1\.0 MB are free.*lora\.rank=8/);
    memory.mockReturnValue(1e9);
    const rss = vi.spyOn(process, "memoryUsage").mockReturnValue({ ...process.memoryUsage(), rss: -7e8 });
    await expect(refused({ microBatch: 4 })).rejects.toThrow(/values of 4 sequences of \d+ tokens .*microBatch=2/);
    rss.mockRestore();
  } finally {
    memory.mockRestore();
  }
});

const load = (lines: readonly object[], more: object = {}) => {
  const path = join(temporary.dir, "lines.jsonl");
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return loadExamples({
    data: [path],
    tokenizer: loadTokenizer(MODEL),
    longest: 60,
    onBroken: "fail",
    holdout: 0,
    ...more,
  });
};
const asked = (content: string, answer = "4", more: object = {}) => ({
  messages: [
    { role: "user", content },
    { role: "assistant", content: answer },
  ],
  ...more,
});

it("names file and line of what cannot be learned from, or leaves it out and says so", async () => {
  await expect(load([asked("1"), { messages: asked("2").messages.slice(0, 1) }])).rejects.toThrow(
    /lines\.jsonl:2: expected a reply of the assistant's/,
  );
  await expect(load([asked("1"), asked("2"), asked("x y ".repeat(60))])).rejects.toThrow(
    /lines\.jsonl:3: expected at most 60 tokens, got \d+/,
  );
  await expect(load([{ text: "plain" }])).rejects.toThrow(/lines\.jsonl:1: expected `messages`, got `text`/);
  await expect(load([{ messages: [{ role: "tool", content: "" }] }])).rejects.toThrow(/:1: messages\[0\]\.role/);
  const test = Array.from({ length: 99 }, (_, i) => `${i}`.padStart(16, "0").replace(/^00/, "01")).find(
    (group) => splitOf(group) === "test",
  )!;
  await expect(load([asked("1"), asked("2", "4", { group: test })])).rejects.toThrow(
    /:2: expected a problem to train on, got one of the test split/,
  );
  const { trained, leftOut } = await load([asked("1"), asked("x y ".repeat(60))], { onBroken: "skip" });
  expect(trained).toHaveLength(1);
  expect(leftOut).toMatch(/left out 1 line: 1 too long \(first .*lines\.jsonl:2/);
});

it("holds questions out, never one on both sides", () => {
  const all: Example[] = Array.from({ length: 40 }, (_, i) => ({ ids: Int32Array.of(i), question: (i % 20) * 7919 }));
  const { trained, heldout } = dividedByQuestion(all, 0.1);
  expect(heldout.length).toBeGreaterThanOrEqual(4);
  const outside = new Set(heldout.map(({ question }) => question));
  expect(trained.some(({ question }) => outside.has(question))).toBe(false);
  expect(trained.length + heldout.length).toBe(40);
  expect(() => dividedByQuestion([], 0.1)).toThrow(/got none/);
});

it("lays examples out so that every reply token counts the same, however they are cut", () => {
  const examples: Example[] = [
    { ids: Int32Array.of(~5, ~6, 7, 1), question: 1 },
    { ids: Int32Array.of(~5, 8, ~6, 9, 2, 1), question: 2 },
    { ids: Int32Array.of(~5, 3), question: 3 },
  ];
  expect(tokensOf(examples)).toBe(16);
  const batches = exampleBatches(examples, { rows: 2, tokens: 6, extra: 1, pad: 0 });
  const w = Math.fround(1 / 7);
  expect(batches.map(({ ids }) => [...ids])).toEqual([
    [~5, ~6, 7, 1, ~0, ~0, ~0, ~5, 8, ~6, 9, 2, 1, ~0],
    [~5, 3, ~0, ~0, ~0, ~0, ~0, ~0, ~0, ~0, ~0, ~0, ~0, ~0],
  ]);
  expect(batches.map(({ inputs }) => [...(inputs["tokenWeights"] as Float32Array)])).toEqual([
    [0, w, w, 0, 0, 0, w, 0, w, w, w, 0],
    [w, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ]);
});

it("sees every example once an epoch, in another order each", () => {
  const epoch = (n: number) => Array.from({ length: 9 }, (_, i) => exampleAt(9 * n + i, 9, 4));
  for (const n of [0, 1, 2]) expect(epoch(n).toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(epoch(1)).not.toEqual(epoch(0));
});

it("raises the rate, then lets it fall along a cosine to its end", () => {
  const options = parseSft({ learningRate: 1, warmupSteps: 4, end: 0.2 });
  const rates = [0, 3, 4, 7, 10].map((step) => rateAt(options, step, 10));
  [0.25, 1, 1, 0.6, 0.2].forEach((rate, i) => expect(rates[i]).toBeCloseTo(rate, 6));
});
