/** A question to the planner: its defaults and limits, and the job it means on so many GPUs. */
import type { ModelConfig } from "../model/config.ts";
import { type Architecture, architectureOf } from "./architecture.ts";
import { clusterOf } from "./cluster.ts";
import { DEEPSEEK, MIXED } from "./memory.ts";
import { type Asked, RefusedError } from "./refusal.ts";
import type { Cluster, Job, PlanQuestion, ScheduleName } from "./types.ts";

export const SCHEDULES: readonly ScheduleName[] = ["1f1b", "interleaved", "zero-bubble", "dualpipe", "dualpipev"];

const isArchitecture = (model: ModelConfig | Architecture): model is Architecture => "layers" in model;

/** The planner's view of a question's model. */
export const questionArchitecture = ({ model, modelName }: Pick<PlanQuestion, "model" | "modelName">): Architecture =>
  isArchitecture(model) ? model : known(model, modelName);

/** One object for one model, by which works and stages are remembered. */
const views = new WeakMap<ModelConfig, Map<string, Architecture>>();
function known(model: ModelConfig, name: string): Architecture {
  const named = views.get(model) ?? new Map<string, Architecture>();
  views.set(model, named);
  const view = named.get(name) ?? architectureOf(model, name);
  named.set(name, view);
  return view;
}

/** What a question leaves out: sequences of 4096, a batch of about 4M tokens for a dense model and 64M for a mixture of experts, at most what the tokens allow. */
export function defaults(question: PlanQuestion, architecture: Architecture): { sequence: number; batch: number } {
  const sequence = question.sequence ?? 4096;
  const mixture = architecture.layers.some(({ ffn }) => ffn.kind === "moe");
  const tokens = Math.min(mixture ? 64e6 : 4e6, question.tokens / 500);
  return { sequence, batch: question.batch ?? Math.max(8, 2 ** Math.round(Math.log2(tokens / sequence))) };
}

/** The job of a question on so many GPUs. */
export function jobOf(question: PlanQuestion, gpus: number): Job {
  const architecture = questionArchitecture(question);
  const { sequence, batch } = defaults(question, architecture);
  const cluster: Cluster = clusterOf(question.chip, gpus, { networkBytesPerSec: question.networkBytesPerSec });
  const precision = question.precision ?? "bf16";
  return {
    architecture,
    cluster,
    sequence,
    batch,
    precision,
    schedule: question.schedule ?? "1f1b",
    imbalance: question.imbalance ?? 1,
    bytes: precision === "fp8" ? DEEPSEEK : MIXED,
    mtp: question.mtp ?? architecture.mtpDepth > 0,
  };
}

/** 1e18, 36,500. */
const large = (n: number) => (n >= 1e9 ? n.toExponential().replace("+", "") : n.toLocaleString("en-US"));
const show = (n: unknown) => (typeof n === "number" ? String(n) : JSON.stringify(n));

/** The largest numbers that a question may have: far over what anybody has done, so that no count is looped over for minutes. */
export const MOST = {
  tokens: 1e18,
  gpus: 1e6,
  sequence: 1e8,
  batch: 1e8,
  budgetUsd: 1e15,
  days: 36_500,
  usdPerGpuHour: 1e7,
  networkBytesPerSec: 1e14,
  imbalance: 1000,
} as const;

/** Numbers that are wrong whatever the layout. Throws RefusedError listing every fault. */
export function checkQuestion(question: PlanQuestion): void {
  const faults: string[] = [];
  const about: Asked[] = [];
  const wrong = (name: Asked, what: string): void => {
    about.push(name);
    faults.push(`${name}: ${what}`);
  };
  const within = (name: keyof typeof MOST, what: string, good: (n: number) => boolean) => {
    const n = question[name];
    if (n === undefined) return;
    if (!good(n)) wrong(name, `expected a positive ${what}, got ${show(n)}`);
    else if (n > MOST[name]) wrong(name, `expected at most ${large(MOST[name])}, got ${show(n)}`);
  };
  for (const name of ["tokens", "budgetUsd", "days", "usdPerGpuHour", "networkBytesPerSec"] as const)
    within(name, "number", (n) => Number.isFinite(n) && n > 0);
  for (const name of ["gpus", "sequence", "batch"] as const)
    within(name, "whole number", (n) => Number.isSafeInteger(n) && n > 0);
  if (question.imbalance !== undefined && !(question.imbalance >= 1 && question.imbalance < MOST.imbalance))
    wrong("imbalance", `expected 1 (even) or more, got ${show(question.imbalance)}`);
  if (question.goodput !== undefined && !(question.goodput > 0 && question.goodput <= 1))
    wrong("goodput", `expected a share above 0 and up to 1, got ${show(question.goodput)}`);
  if (question.schedule !== undefined && !SCHEDULES.includes(question.schedule))
    wrong("schedule", `expected one of ${SCHEDULES.join(", ")}, got ${show(question.schedule)}`);
  if (question.gpus === undefined && question.budgetUsd === undefined && question.days === undefined) {
    about.push("gpus");
    faults.push("expected gpus, a budget or days, got none of them");
  }

  if (faults.length > 0) throw new RefusedError(`plan: ${faults.join("\n  ")}`, about);
}
