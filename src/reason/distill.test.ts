import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { untrainedIds, untrainedModel } from "../../test/support/untrained.ts";
import { RunReader, type RunRecord } from "../runs/index.ts";
import { type DistillRequest, distill } from "./distill.ts";
import type { DistillReport } from "./distiller.ts";
import { parseDistill } from "./distillOptions.ts";

const temporary = temporaryFolder();
const at = (name: string): string => join(temporary.dir, name);
afterAll(() => temporary[Symbol.dispose]());
const [STUDENT, TEACHER, OWN] = [at("student"), at("teacher"), at("letters.mjs")];

const SET = {
  steps: 3,
  problems: 6,
  maxTokens: 10,
  microBatch: 4,
  learningRate: 0.01,
  warmupSteps: 1,
  evaluate: { everySteps: 5, problems: 2 },
  save: { everySteps: 1, keep: 2 },
};

beforeAll(async () => {
  await untrainedModel(STUDENT);
  // another model, and more rows than the student has: those are no tokens of anybody's
  await untrainedModel(TEACHER, { seed: 2, vocab_size: untrainedIds() + 3 });
  writeFileSync(
    OWN,
    `export const problem = (random) => ({ prompt: "Say " + random.int(10, 99), answer: "e" });
export const score = (problem, reply) => reply.text.includes("e");`,
  );
});

async function run(name: string, more: Partial<DistillRequest> = {}) {
  const reports: DistillReport[] = [];
  const records: RunRecord[] = [];
  const result = await distill({
    ...(more.resume === undefined ? { model: STUDENT, teacher: TEACHER, task: OWN, set: SET } : {}),
    runs: at("runs"),
    out: at(name),
    ...more,
    onStep(report, eta) {
      reports.push(report);
      more.onStep?.(report, eta);
    },
    onRecord: (record) => records.push(record),
  });
  return { result, reports, records };
}
const weightsOf = (name: string): Buffer => readFileSync(join(at(name), "model.safetensors"));
/** A safetensors file with another last bit in the model's norm. */
function withOtherNorm(file: Buffer): Buffer {
  const changed = Buffer.from(file);
  const behind = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, behind)) as Record<string, { data_offsets: [number, number] }>;
  changed[behind + header["model.norm.weight"]!.data_offsets[0]]! ^= 1;
  return changed;
}
const told = ({ teacherKl, loss, gradNorm, length, driftMax }: DistillReport) => [
  teacherKl,
  loss,
  gradNorm,
  length,
  driftMax,
];

it("moves the student towards the teacher, and ends with the same weights when it was stopped in a rollout", async () => {
  const whole = await run("whole");
  expect(whole.result).toMatchObject({ reason: "done", step: 3 });
  const kls = whole.reports.map(({ teacherKl }) => teacherKl);
  expect(kls.at(-1)).toBeLessThan(0.9 * kls[0]!);
  for (const { driftMax, flips, trained, teacherSeconds } of whole.reports) {
    expect(driftMax).toBeLessThan(1e-4);
    expect(flips).toBe(0);
    expect(trained).toBe(6);
    expect(teacherSeconds).toBeGreaterThan(0);
  }
  expect(whole.records).toContainEqual(
    expect.objectContaining({
      type: "event",
      message: expect.stringMatching(/^the teacher read for .* % of the steps/),
    }),
  );
  const policies = (await new RunReader(at("runs")).read(whole.result.id)).log.flatMap((one) =>
    one.type === "policy" ? [one] : [],
  );
  expect(policies.map(({ teacherKl }) => teacherKl)).toEqual(kls);
  expect(policies[0]!.dead).toBeUndefined();

  const stop = new AbortController();
  const first = await run("pieces", {
    signal: stop.signal,
    onStep: ({ step }) => void (step === 1 && setTimeout(() => stop.abort(), 10)),
  });
  expect(first.result.reason).toBe("stopped");
  const weights = weightsOf("teacher");
  writeFileSync(join(TEACHER, "model.safetensors"), withOtherNorm(weights));
  await expect(run("pieces", { resume: first.result.id })).rejects.toThrow(
    /expected the teacher that the run began with, got other weights/,
  );
  writeFileSync(join(TEACHER, "model.safetensors"), weights);
  const second = await run("pieces", { resume: first.result.id });
  expect([...first.reports, ...second.reports].map(told)).toEqual(whole.reports.map(told));
  expect(weightsOf("pieces").equals(weightsOf("whole"))).toBe(true);
});

it.runIf(process.env["SUMBI_TEST"] === "full")(
  "trains adapters instead, and learns nothing from a teacher that is the student",
  async () => {
    const set = { ...SET, steps: 1, lora: { rank: 2, targets: ["o_proj"] } };
    const { reports } = await run("adapter", { teacher: STUDENT, set });
    expect(Math.abs(reports[0]!.teacherKl)).toBeLessThan(1e-5);
    expect(reports[0]!.gradNorm).toBeLessThan(1e-5);
    expect(readFileSync(join(at("adapter"), "adapter_config.json"), "utf8")).toContain('"r": 2');
    expect(parseDistill({ lora: {} }).learningRate).toBeCloseTo(10 * parseDistill({}).learningRate);
  },
);

it("refuses teachers whose distribution cannot be had, and says what to do", async () => {
  await expect(run("url", { teacher: "http://localhost:8080/v1#big" })).rejects.toThrow(
    /which no endpoint gives; give its folder, or leave --on-policy out/,
  );
  const other = at("other");
  cpSync(STUDENT, other, { recursive: true });
  const path = join(other, "tokenizer.json");
  const json = JSON.parse(readFileSync(path, "utf8")) as { model: { vocab: Record<string, number> } };
  const [[one, a], [two, b]] = Object.entries(json.model.vocab).slice(300) as [[string, number], [string, number]];
  Object.assign(json.model.vocab, { [one]: b, [two]: a });
  writeFileSync(path, JSON.stringify(json));
  await expect(run("tokens", { teacher: other })).rejects.toThrow(
    /expected the student's tokens, got others: id \d+ is ".*", the student's ".*"\. Leave --on-policy out/,
  );
  await expect(run("rows", { model: TEACHER, teacher: STUDENT })).rejects.toThrow(
    /a head of at least the student's \d+ rows, got \d+/,
  );
  await expect(run("none", { teacher: undefined })).rejects.toThrow(/expected a teacher, got none/);
});
