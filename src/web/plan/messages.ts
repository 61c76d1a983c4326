/** What the planner's page and its worker say to each other. */
import type { Chip, PhasesResult, PlanResult, ScheduleResult, Source, StepEstimate } from "../../plan/index.ts";
import type { Fault, Form } from "./form.ts";

/** What the page may offer: told by the worker once, so that the page itself carries none of the planner's tables. */
export interface Catalogue {
  models: { id: string; name: string; tokens?: number; sequence?: number; batch?: number }[];
  chips: Chip[];
  claims: { id: string; title: string; text: string }[];
  /** Every destination and seat. */
  countries: { code: string; name: string }[];
  /** Units of each currency per US dollar. */
  currencies: { id: string; perUsd: number; source?: Source }[];
}

/** A sum of money with its parts, in US dollars. */
export interface MoneyLine {
  name: string;
  usd: number;
  p10?: number;
  p90?: number;
  parts: { name: string; usd: number; help?: string }[];
  note?: string;
  sources?: Source[];
}

/** The rules' answer for the chip on a day. */
export interface Law {
  /** Null where it cannot be told. */
  lawful: boolean | null;
  verdict: string;
  title: string;
  lines: { name: string; text: string; sources: Source[] }[];
}

export interface Answer {
  form: Form;
  result: PlanResult;
  chip: Chip;
  /** What a GPU-hour was taken to cost, how that was found and where it is from. */
  price: { usdPerGpuHour: number; says: string; sources: Source[] };
  money: MoneyLine[];
  facts: { name: string; value: string; sources?: Source[] }[];
  law: Law | null;
  /** Whether the model's other phases are known. */
  phased: boolean;
  /** How long the planner took. */
  seconds: number;
}

/** One step as the schedule's simulation plays it, and the same as a trace file. */
export interface Drawn {
  timeline: ScheduleResult;
  trace: string;
}

/** Why a step is not drawn. */
export interface Undrawn {
  why: string;
}

/** One searched plan on the plot of cost against time. */
export interface Point {
  /** "here": this question's own layouts; "gpus": other counts of the same chip; "chips": other chips. */
  kind: "here" | "gpus" | "chips";
  label: string;
  days: number;
  usd: number;
  gpus: number;
  chip: string;
  layout: string;
  why: string;
  legal?: boolean;
}

export interface Row {
  step: StepEstimate;
  slower: number;
  why: string;
}

export type Request = { id: number } & (
  | { kind: "catalogue" }
  | { kind: "plan"; form: Form }
  | { kind: "phases"; form: Form; gpus: number }
  | { kind: "audit"; claim: string }
);

export type Reply = { id: number } & (
  | { kind: "catalogue"; catalogue: Catalogue }
  | { kind: "answer"; answer: Answer }
  | { kind: "timeline"; drawn: Drawn | Undrawn | null }
  | { kind: "points"; points: Point[]; left: number }
  | { kind: "faults"; faults: Fault[] }
  | { kind: "progress"; done: number; total: number; note: string }
  | { kind: "phases"; phases: PhasesResult }
  | { kind: "audit"; report: unknown }
  | { kind: "done" }
);
