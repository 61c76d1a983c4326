/** Each fault is found in records that have it, told once, and not found in those of a run that learns. */
import { describe, expect, it } from "vitest";
import type { PolicyRecord, RunRecord, StepRecord } from "../runs/index.ts";
import { type DiagnosedStep, Diagnosis, diagnose } from "./diagnose.ts";

const TOLD = { group: 16, maxTokens: 64, weights: { answer: 1, format: 0.5 } };

/** A step of a run in which thinking comes to pay, over 40 steps. */
function healthy(step: number, change: Partial<PolicyRecord> = {}, gradNorm = 0.3): DiagnosedStep {
  const share = Math.min(1, step / 20);
  const right = 0.5 + 0.48 * share;
  return {
    policy: {
      type: "policy",
      step,
      reward: right + 0.5 * share,
      parts: { answer: right, format: share },
      length: 4 + 18 * share,
      longShare: 0.15 + 0.85 * share,
      longRight: 0.98,
      shortRight: 0.5,
      truncated: 0.01,
      dead: 0.7 * share,
      solved: 0.7 * share,
      hopeless: 0,
      groups: 32,
      trained: 256,
      entropy: 0.6 - 0.57 * share,
      driftMax: 2e-5,
      driftMean: 1e-7,
      ...change,
    },
    step: { type: "step", step, steps: 40, tokens: step, loss: 0, gradNorm },
  };
}

const run = (steps: number, change: (step: number) => Partial<PolicyRecord> = () => ({}), gradNorm?: number) =>
  Array.from({ length: steps }, (_, i) => healthy(i + 1, change(i + 1), gradNorm));
const topics = (steps: readonly DiagnosedStep[], told: Partial<typeof TOLD> = {}) =>
  diagnose(steps, { ...TOLD, ...told }).map(({ topic }) => topic);
const message = (steps: readonly DiagnosedStep[], topic: string) =>
  diagnose(steps, TOLD).find((one) => one.topic === topic)?.message ?? "";

describe("diagnosis", () => {
  it("finds nothing wrong at any moment of a run that learns", () => {
    for (let steps = 0; steps <= 40; steps++) expect(topics(run(steps))).toEqual([]);
  });

  it("says why a format is never earned, and names the template that opens the tag", () => {
    const again = run(5, () => ({
      parts: { answer: 0.5, format: 0 },
      malformed: { "open the thought again": 0.9, "are cut off": 0.1 },
    }));
    expect(message(again, "format")).toMatch(
      /^No answer has earned .* 90 % of the answers open the thought again\. The chat template has opened it already .* never be earned: take <think> out of the template/,
    );
    expect(topics(again, { weights: { answer: 1 } as unknown as typeof TOLD.weights })).toEqual([]);
    expect(topics(again.slice(1))).toEqual([]);
    const none = run(5, () => ({ parts: { answer: 0.5, format: 0 }, malformed: { "do not think": 1 } }));
    expect(message(none, "format")).toMatch(/must begin with <think>, and none is drawn that does.*sumbi reason sft/);
    const unknown = run(5, () => ({ parts: { answer: 0.5, format: 0 } }));
    expect(message(unknown, "format")).toMatch(/so that part teaches nothing\. Show the form first/);
  });

  it("tells dead groups that are solved from those that are hopeless, and reckons how large groups would teach", () => {
    const hopeless = run(6, () => ({ dead: 0.97, hopeless: 0.96, solved: 0, parts: { answer: 0.01, format: 1 } }));
    // 1 − 0.01^64 − 0.99^64
    expect(message(hopeless, "dead")).toMatch(
      /^97 % of the groups .*too hard.*group=64 \(of groups of 64, 47 % would teach\)/,
    );
    const never = run(6, () => ({ dead: 1, hopeless: 1, solved: 0, parts: { answer: 0, format: 1 } }));
    expect(message(never, "dead")).toMatch(/--set group=64; easier problems/);
    const solved = run(6, () => ({ dead: 0.95, solved: 0.95 }));
    expect(message(solved, "dead")).toMatch(/95 % are all right\. The task is learned, or it is too easy/);
    const alike = run(6, () => ({ dead: 0.95, solved: 0.1, hopeless: 0.1 }));
    expect(message(alike, "dead")).toMatch(/does not tell these answers apart/);
  });

  it("finds answers that are cut off, and the limit to take", () => {
    expect(
      message(
        run(5, () => ({ truncated: 0.3 })),
        "truncation",
      ),
    ).toMatch(/^30 % of the answers are cut off at 64 tokens .*maxTokens=128/);
  });

  it("tells thinking less because it does not pay from answers that merely shrink", () => {
    const unlearned = run(25, (step) => ({
      longShare: 0.3 / step,
      longRight: 0.5,
      shortRight: 0.55,
      length: 10,
      entropy: 0.5,
    }));
    expect(message(unlearned, "thinking")).toMatch(
      /reinforcement is right to do so: .* right in 50 %, the others in 55 %/,
    );
    const shrunk = (reward: number) =>
      run(25, (step) => ({ length: step < 12 ? 40 : 8, reward: step < 12 ? 0.6 : reward, entropy: 0.5 }));
    expect(topics(shrunk(0.6))).toEqual(["length"]);
    expect(message(shrunk(0.6), "length")).toMatch(
      /40\.0 → 8\.0 tokens\) without becoming better \(reward 0\.600 → 0\.600\)/,
    );
    // shorter and better is no fault
    expect(topics(shrunk(0.9))).toEqual([]);
  });

  it("finds entropy that is gone before the task is learned", () => {
    const gone = (solved: number) => run(20, (step) => ({ entropy: step < 8 ? 0.6 : 0.01, solved, dead: solved }));
    expect(message(gone(0.2), "entropy")).toMatch(/entropy 0\.600 → 0\.010 nats/);
    expect(topics(gone(0.7))).toEqual([]);
  });

  it("finds drift and flipped experts at once, and a gradient that is 0", () => {
    expect(message([healthy(1, { driftMax: 3e-3, flips: 12 })], "drift")).toMatch(/3\.0e-3, and 12 choices of experts/);
    expect(topics([healthy(1, { flips: 1 })])).toEqual(["drift"]);
    expect(diagnose([healthy(1, { driftMax: 3e-3 })], { ...TOLD, driftMost: 0.1 })).toEqual([]);
    expect(topics(run(5, undefined, 0))).toEqual(["still"]);
    // with nothing to teach there is nothing to move by
    expect(topics(run(5, () => ({ trained: 0 }), 0))).toEqual([]);
  });

  it("holds with records of which most is missing", () => {
    const bare = Array.from({ length: 12 }, (_, i) => {
      const {
        entropy: _e,
        driftMax: _d,
        driftMean: _m,
        longRight: _l,
        shortRight: _s,
        ...rest
      } = healthy(i + 1).policy;
      return { policy: { ...rest, parts: {} } };
    });
    expect(diagnose(bare, { ...TOLD, weights: { answer: 1 } })).toEqual([]);
  });
});

describe("a diagnosis that goes along with a run", () => {
  const records = (steps: readonly DiagnosedStep[]): RunRecord[] =>
    steps.flatMap(({ policy, step }) => [step as StepRecord, policy]);
  const told = (steps: readonly DiagnosedStep[], diagnosis = new Diagnosis(TOLD)) =>
    records(steps).flatMap((record) => diagnosis.see(record).map(({ step, topic }) => [step, topic]));
  const cut = (from: number, to: number) => run(60, (step) => ({ truncated: step >= from && step <= to ? 0.6 : 0 }));

  it("tells a fault once while it lasts, and again when it had been over", () => {
    expect(told(cut(10, 60))).toEqual([[10, "truncation"]]);
    const twice = cut(10, 20).map((one, i) => (i >= 40 ? { ...one, policy: { ...one.policy, truncated: 0.6 } } : one));
    expect(told(twice)).toEqual([
      [10, "truncation"],
      [41, "truncation"],
    ]);
  });

  it("tells nothing anew that an earlier session told, also where steps come again", () => {
    const all = cut(10, 60);
    const diagnosis = new Diagnosis(TOLD);
    for (const record of records(all.slice(0, 30))) diagnosis.see(record);
    expect(told(all.slice(25), diagnosis)).toEqual([]);
  });
});
