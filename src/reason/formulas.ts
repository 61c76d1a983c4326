/** Published formulas as settings, and which settings contradict each other or would do nothing. */
import { isRecord } from "../json.ts";

/** The options that formulas are made of. */
export interface FormulaSettings {
  problems: number;
  group: number;
  maxTokens: number;
  topP: number;
  topK: number;
  samplingMask?: boolean | null;
  resample: number;
  deadGroups: "leave" | "count";
  aggregation: "longest" | "token" | "sequence";
  minibatches: number;
  epochs: number;
  ratio: "token" | "sequence";
  surrogate: "clip" | "weight";
  ratioClip?: { low?: number; high?: number; dual?: number } | null;
  offPolicyDelta?: number | null;
  importance?: { most: number } | null;
  kl?: { beta: number } | null;
  reference?: { everySteps: number } | null;
  overlong?: { mask: boolean; buffer?: number } | null;
  weights: Readonly<Record<string, number>>;
  gradients: "f32" | "int8";
  lora?: object;
}

/** What a formula sets; all else has its default. Sizes (problems, group, rates) are not of a formula. */
export const FORMULAS = {
  /** Dr. GRPO without clipping or KL, strictly on-policy, dead groups drawn anew (arXiv:2503.20783, 2503.14476). */
  mended: {},
  /** DeepSeek-R1's: arXiv:2501.12948 eq. 1-3; ε, β and the reference's 400 steps from the supplement in Nature. It drew 8,192 answers for 16 minibatches. */
  r1: {
    scale: "population",
    aggregation: "sequence",
    ratioClip: { low: 10, high: 10 },
    kl: { beta: 1e-3, estimator: "k3" },
    reference: { everySteps: 400 },
    minibatches: 4,
    resample: 1,
    deadGroups: "count",
  },
  /** arXiv:2503.14476; the punishment of the overlong is `overlong.buffer` with `weights.length`. */
  dapo: { scale: "population", aggregation: "token", ratioClip: { low: 0.2, high: 0.28 }, minibatches: 4 },
  /** arXiv:2507.18071 §5.1. */
  gspo: {
    scale: "population",
    aggregation: "sequence",
    ratio: "sequence",
    ratioClip: { low: 3e-4, high: 4e-4 },
    minibatches: 4,
  },
  /** arXiv:2506.13585 eq. 4-5; it names no bound: ρ counts up to 5, as others take it. */
  cispo: { scale: "population", aggregation: "token", surrogate: "weight", ratioClip: { high: 4 }, minibatches: 4 },
} as const;

/** Settings over those of their formula: groups of them are merged, and null takes one away. */
export function withFormula(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { formula } = given;
  const known: Record<string, Record<string, unknown>> = FORMULAS;
  const base = typeof formula === "string" && Object.hasOwn(known, formula) ? known[formula]! : {};
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(given)) {
    const before = base[key];
    merged[key] = isRecord(value) && isRecord(before) ? { ...before, ...value } : value;
  }
  return merged;
}

/** Updates made of one batch of answers. */
export const updatesOf = ({ minibatches, epochs }: Pick<FormulaSettings, "minibatches" | "epochs">): number =>
  minibatches * epochs;

/** Whether tokens are cut off the distribution that answers are drawn from. */
export const cuts = ({ topP, topK }: Pick<FormulaSettings, "topP" | "topK">): boolean => topP < 1 || topK > 0;

/** What is wrong with settings that are each right by themselves, and what to do. */
export function contradictionsOf(options: FormulaSettings): string[] {
  return [...ofRatios(options), ...ofSampling(options), ...ofMeans(options)];
}

function ofRatios(options: FormulaSettings): string[] {
  const { ratio, surrogate, ratioClip, offPolicyDelta, minibatches, problems, group } = options;
  const found: string[] = [];
  if (minibatches > problems * group)
    found.push(
      `minibatches: expected at most as many as answers, ${problems} · ${group}, got ${minibatches}; set fewer, or more problems`,
    );
  const needRatios = Object.entries({
    ratioClip: ratioClip != null,
    "ratio=sequence": ratio === "sequence",
    "surrogate=weight": surrogate === "weight",
    offPolicyDelta: offPolicyDelta != null,
  }).filter(([, set]) => set);
  const [first] = needRatios;
  if (first !== undefined && updatesOf(options) === 1)
    found.push(
      `${first[0]}: expected several updates of a batch, got one: answers are used once, by the weights that drew them, so that every ratio is 1 and this does nothing. Set minibatches or epochs, or leave it out (ratioClip=null where a formula sets it)`,
    );
  if (ratioClip && Object.values(ratioClip).every((value) => value === undefined))
    found.push("ratioClip: expected low, high or dual, got none of them; leave it out");
  if (surrogate === "weight" && ratioClip?.high === undefined)
    found.push("surrogate=weight: expected ratioClip.high, which bounds the weights, got none; set it");
  if (surrogate === "weight" && ratioClip?.dual !== undefined)
    found.push("ratioClip.dual: bounds min(ρA, clip(ρ)A), which surrogate=weight does not have; leave one of them out");
  if (ratio === "sequence" && surrogate === "weight")
    found.push("ratio=sequence: expected surrogate=clip, got weight; GSPO clips, CISPO weighs tokens: leave one out");
  if (ratio === "sequence" && options.aggregation !== "sequence")
    found.push(`ratio=sequence: expected aggregation=sequence, got ${options.aggregation}; set it`);
  return found;
}

function ofSampling(options: FormulaSettings): string[] {
  const { samplingMask, importance } = options;
  const found: string[] = [];
  if (!cuts(options) && samplingMask != null)
    found.push("samplingMask: nothing is cut in drawing; set topP or topK, or leave it out");
  if (cuts(options) && samplingMask === false && !importance)
    found.push(
      "samplingMask=false: tokens drawn from a cut distribution are not the policy's own; leave it out, or set importance.most",
    );
  if (importance && !(cuts(options) && samplingMask === false))
    found.push(
      "importance: answers are drawn from the very distribution that is trained, so that all weights are 1; leave it out, or cut in drawing alone (topP with samplingMask=false)",
    );
  return found;
}

function ofMeans(options: FormulaSettings): string[] {
  const { kl, reference, deadGroups, resample, overlong, weights, maxTokens } = options;
  const found: string[] = [];
  if (options.gradients === "int8" && options.lora)
    found.push("gradients=int8: adapters are trained in f32; leave one of them out");
  if (reference && !kl) found.push("reference: nothing is held to it; set kl.beta, or leave it out");
  if (deadGroups === "count" && resample > 1)
    found.push(
      `deadGroups=count: groups that teach nothing are either counted or drawn anew, got resample ${resample}; set resample=1`,
    );
  if (overlong && !overlong.mask && overlong.buffer === undefined)
    found.push("overlong: expected mask or buffer, got neither; leave it out");
  if (overlong?.buffer !== undefined && !weights["length"])
    found.push(
      "overlong.buffer: the reward's part length has no weight; set weights.length (1 for DAPO's), or leave it out",
    );
  if (weights["length"] && overlong?.buffer === undefined)
    found.push(
      "weights.length: expected over how many tokens it falls before maxTokens, got nothing; set overlong.buffer",
    );
  if (overlong?.buffer !== undefined && overlong.buffer > maxTokens)
    found.push(`overlong.buffer: expected at most maxTokens, ${maxTokens}, got ${overlong.buffer}`);
  return found;
}
