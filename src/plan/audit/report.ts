/** The shape of an audit's report: grades, checks, bands, verdicts. */
import type { MemoryBytes, Source, StepEstimate } from "../types.ts";
import type { Claim } from "./claim.ts";

/** How far a finding lets one believe the claim; the verdict is the worst that any check says (docs/decisions/044-audit.md). */
export const GRADES = ["ok", "aggressive", "unshown", "broken"] as const;
export type Grade = (typeof GRADES)[number];

export const VERDICTS = {
  ok: "adds up",
  aggressive: "plausible, aggressive",
  unshown: "not shown",
  broken: "does not add up",
} as const;

/** What is checked. */
export type Topic =
  | "phases-sum"
  | "price"
  | "dollars-sum"
  | "wall"
  | "per-trillion"
  | "days"
  | "steps"
  | "step-parts"
  | "rate"
  | "flops"
  | "mfu"
  | "goodput"
  | "covered"
  | "peak"
  | "kernels"
  | "pairs"
  | "layout"
  | "memory"
  | "prediction"
  | "peers"
  | "rollouts"
  | "clock"
  | "calendar"
  | "law";

/** Something that no sum of the claim contains; `said` where the claim itself says so. */
export interface LeftOut {
  what: string;
  said: boolean;
}

export type CheckKind = "sums" | "physics" | "peers" | "prediction" | "calendar" | "law" | "price";

/** One thing that was worked out again. */
export interface Check {
  /** The topic, with the phase where it is checked of one. */
  id: string;
  topic: Topic;
  kind: CheckKind;
  title: string;
  /** "unknown": the claim does not say enough. Such a check counts neither way. */
  grade: Grade | "unknown";
  /** A sentence with its numbers. */
  says: string;
  numbers: Record<string, number>;
  /** Short form for one line of a screen. */
  short: string;
  sources: Source[];
}

export interface Band {
  p10: number;
  p50: number;
  p90: number;
}

/** A run of others, and what the claim would have taken at its efficiency. */
export interface PeerComparison {
  name: string;
  /** GPU-hours that the claim's counted work takes at this peer's rate on the claim's chip. */
  gpuHours: number;
  /** The claim's speed over the peer's: above 1 the claim is faster. */
  ratio: number;
  /** Same model on like chips: a speed to be measured by. Others are scaled. */
  like: boolean;
  how: string;
  sources: Source[];
}

export interface Alternative {
  name: string;
  says: string;
  /** What one would have to see, beside what the claim says. */
  needs: { quantity: string; stated: string; needed: string; fits: "yes" | "strained" | "no" | "same" }[];
  /** Likelihood of the published details under this explanation over that under the claim. */
  likelihoodRatio: number;
  fits: "better" | "as well" | "partly" | "poorly";
  sources: Source[];
}

export interface Prediction {
  /** Of the counted phases (those with tokens). */
  gpuHours: Band;
  stepSeconds: number;
  tokensPerSecondPerGpu: number;
  mfu: number;
  /** Share of the best steady state that failures and checkpoints leave. */
  steadyShare: number;
  parts?: StepEstimate["parts"];
  memoryBytes?: MemoryBytes;
  how: string;
}

export interface MoneyLine {
  what: string;
  usd: Band;
  how: string;
  sources: Source[];
}

/** An audit, as data. The CLI, the page and markdown draw it. */
export interface AuditReport {
  claim: Claim;
  title: string;
  restated: { label: string; value: string }[];
  verdict: { grade: Grade; label: string; because: string };
  checks: Check[];
  /** Ids of checks. */
  for: string[];
  against: string[];
  open: string[];
  /** Of the phases whose work can be counted. */
  implied?: {
    tokens: number;
    gpuHours: number;
    flopsPerToken: { causal: number; full: number; causalMtp?: number };
    tokensPerSecondPerGpu: number;
    mfuCausal: number;
    mfuFull: number;
    /** Of the peak that products in FP8 and attention in BF16 allow together; equals mfuCausal for BF16 runs. */
    shareOfMixedPeak: number;
  };
  predicted?: Prediction;
  peers: PeerComparison[];
  alternatives: Alternative[];
  /** True GPU-hours of all the claim covers. */
  hours: Band & {
    stated: number;
    /** Chance that they are as stated, for a reader without an opinion and for one who trusts figures that fit; the priors of both. */
    asStated: number;
    trusting: number;
    priors: readonly [number, number];
    how: string;
    /** What the chance and the bands rest on, to be said beside them. */
    restsOn: string;
  };
  /** Final run, then what the claim leaves out, then the whole. */
  money: {
    stated?: number;
    finalRun: MoneyLine;
    programme: MoneyLine;
    ownership?: MoneyLine;
    multiples: { what: string; times: number; source: Source }[];
  };
  leftOut: LeftOut[];
  sources: Source[];
}
