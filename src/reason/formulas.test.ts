import { expect, it } from "vitest";
import { FORMULAS } from "./formulas.ts";
import { parseReinforce, settingsOf } from "./options.ts";

const set = (...settings: string[]) => parseReinforce(settingsOf(settings));

it("a formula sets what is not set otherwise; groups are merged, null takes away", () => {
  expect(set("formula=r1")).toMatchObject({
    scale: "population",
    aggregation: "sequence",
    ratioClip: { low: 10, high: 10 },
    kl: { beta: 1e-3, estimator: "k3" },
    reference: { everySteps: 400 },
    minibatches: 4,
    deadGroups: "count",
    resample: 1,
  });
  expect(set("formula=r1", "kl.beta=0.01", "minibatches=2", "ratioClip.low=0.2")).toMatchObject({
    kl: { beta: 0.01, estimator: "k3" },
    ratioClip: { low: 0.2, high: 10 },
    minibatches: 2,
  });
  const without = set("formula=r1", "kl=null", "reference=null");
  expect(without.kl).toBeNull();
  // what a run keeps of its options is read back as the same
  for (const options of [without, ...Object.keys(FORMULAS).map((formula) => set(`formula=${formula}`))])
    expect(parseReinforce(JSON.parse(JSON.stringify(options)))).toEqual(options);
  expect(() => set("formula=r2")).toThrow(/formula: /);
});

it.each([
  [["ratioClip.low=0.2"], /ratioClip: expected several updates of a batch, got one: .*Set minibatches or epochs/],
  [["offPolicyDelta=0.1"], /offPolicyDelta: expected several updates/],
  [["ratio=sequence"], /ratio=sequence: expected several updates/],
  [["formula=r1", "minibatches=1"], /ratioClip: expected several updates.*ratioClip=null where a formula sets it/],
  [["minibatches=300"], /minibatches: expected at most as many as answers, 16 · 16, got 300/],
  [["epochs=2", "ratioClip={}"], /ratioClip: expected low, high or dual/],
  [["formula=cispo", "ratioClip.dual=3"], /ratioClip\.dual: bounds min/],
  [["epochs=2", "surrogate=weight"], /surrogate=weight: expected ratioClip\.high/],
  [["formula=gspo", "aggregation=token"], /ratio=sequence: expected aggregation=sequence, got token/],
  [["formula=gspo", "surrogate=weight"], /ratio=sequence: expected surrogate=clip/],
  [["reference.everySteps=10"], /reference: nothing is held to it; set kl\.beta/],
  [["kl.estimator=k3"], /kl\.beta/],
  [["deadGroups=count"], /deadGroups=count: .*set resample=1/],
  [["samplingMask=true"], /samplingMask: nothing is cut in drawing/],
  [["topP=0.9", "samplingMask=false"], /samplingMask=false: tokens drawn from a cut distribution/],
  [["importance.most=3"], /importance: answers are drawn from the very distribution/],
  [["topP=0.9", "importance.most=3"], /importance: /],
  [["overlong={}"], /overlong: expected mask or buffer/],
  [["overlong.buffer=20"], /overlong\.buffer: .*set weights\.length/],
  [["weights.length=1"], /weights\.length: .*set overlong\.buffer/],
  [["weights.length=1", "overlong.buffer=200"], /overlong\.buffer: expected at most maxTokens, 128, got 200/],
])("refuses %j", (settings, why) => {
  expect(() => set(...settings)).toThrow(why);
});

it.each([
  [["epochs=2", "ratioClip.low=0.2", "ratioClip.high=0.28", "ratioClip.dual=3", "offPolicyDelta=0.1"]],
  [["kl.beta=0.001", "reference.everySteps=10"]],
  [["topP=0.9", "topK=20"]],
  [["topP=0.9", "samplingMask=false", "importance.most=2"]],
  [["weights.length=1", "overlong.buffer=32", "overlong.mask=true"]],
  [["formula=gspo"]],
  [["formula=cispo", "minibatches=1", "epochs=3"]],
])("takes %j", (settings) => {
  expect(() => set(...settings)).not.toThrow();
});
