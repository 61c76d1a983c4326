/** The planner's form: text as typed, read into numbers, and as the page's query. */
import type { Layout, ScheduleName } from "../../plan/index.ts";

/** What the controls hold, all of it text as typed; "" is the planner's choice. Also the page's query, key by key. */
export const BLANK = {
  model: "deepseek-v3",
  /** A config.json, pasted; it takes the preset's place. */
  config: "",
  tokens: "14.8T",
  chip: "h800",
  /** A chip as JSON, pasted; it takes the table's place. */
  mychip: "",
  /** Which of gpus, budget and days is given; the others follow. */
  goal: "gpus",
  gpus: "2048",
  budget: "5.6M",
  days: "60",
  precision: "",
  schedule: "",
  sequence: "",
  batch: "",
  dp: "",
  tp: "",
  cp: "",
  pp: "",
  vp: "",
  ep: "",
  zero: "",
  microBatch: "",
  recompute: "",
  price: "",
  currency: "USD",
  own: "rented",
  network: "",
  imbalance: "",
  goodput: "",
  on: "",
  to: "",
  /** Seat of the firm; "" is the destination. */
  seat: "",
};

export type Field = keyof typeof BLANK;
export type Form = Record<Field, string>;
export const FIELDS = Object.keys(BLANK) as Field[];

export const LAYOUT_FIELDS = [
  "dp",
  "tp",
  "cp",
  "pp",
  "vp",
  "ep",
  "zero",
  "microBatch",
  "recompute",
] as const satisfies readonly Field[];

/** The form that a page's query says; what it does not say is as in BLANK, and what is unknown is passed over. */
export function fromQuery(query: string): Form {
  const params = new URLSearchParams(query);
  return Object.fromEntries(FIELDS.map((field) => [field, params.get(field) ?? BLANK[field]])) as Form;
}

/** The shortest query that gives the form back: "" or "?model=…", only what differs from BLANK. */
export function toQuery(form: Form): string {
  const params = new URLSearchParams();
  for (const field of FIELDS) if (form[field] !== BLANK[field]) params.set(field, form[field]);
  const text = params.toString();
  // Commas, colons and slashes may stand in a query as they are, and read better.
  return text ? `?${text.replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%2F", "/")}` : "";
}

/** Something wrong with one control, and what would be right. */
export interface Fault {
  field: Field | "";
  message: string;
}

const UNITS: Record<string, number> = { k: 1e3, m: 1e6, b: 1e9, g: 1e9, t: 1e12, p: 1e15 };

/** "14.8T", "5.6 M", "1e12", "2,048" -> a number; null where it is none. */
export function amount(text: string): number | null {
  const found = /^([\d]+(?:[\d,_ ]*\d)?(?:\.\d*)?|\.\d+)(?:e\+?(\d{1,2}))?\s*([kmbgtp])?$/i.exec(text.trim());
  if (!found) return null;
  const value =
    Number(found[1]!.replace(/[,_ ]/g, "")) *
    10 ** Number(found[2] ?? 0) *
    (found[3] ? UNITS[found[3].toLowerCase()] : 1)!;
  return Number.isFinite(value) ? value : null;
}

/** The controls as numbers: what the planner is asked, less the model and the chip, which are looked up by name. */
export interface Asked {
  tokens: number;
  gpus?: number;
  budget?: number;
  days?: number;
  layout?: Partial<Layout>;
  schedule?: ScheduleName;
  precision?: "bf16" | "fp8";
  sequence?: number;
  batch?: number;
  /** In the form's currency, per GPU-hour. */
  price?: number;
  networkBytesPerSec?: number;
  imbalance?: number;
  goodput?: number;
}

interface Rule {
  name: string;
  example: string;
  whole?: boolean;
  min: number;
  max: number;
  /** Must be given. */
  needed?: boolean;
}

const COUNT = { whole: true, min: 1 };
const RULES: Partial<Record<Field, Rule>> = {
  tokens: { name: "tokens", example: "14.8T, 300B or 20000000", min: 1, max: 1e18, needed: true },
  gpus: { name: "GPUs", example: "2048", ...COUNT, max: 1e6, needed: true },
  budget: { name: "a budget", example: "5.6M or 300k", min: 1, max: 1e15, needed: true },
  days: { name: "days", example: "60", min: 0.01, max: 36_500, needed: true },
  sequence: { name: "tokens of a sequence", example: "4096", ...COUNT, max: 1e8 },
  batch: { name: "sequences of a batch", example: "15360", ...COUNT, max: 1e8 },
  dp: { name: "DP", example: "128", ...COUNT, max: 1e6 },
  tp: { name: "TP", example: "8", ...COUNT, max: 1024 },
  cp: { name: "CP", example: "2", ...COUNT, max: 1024 },
  pp: { name: "PP", example: "16", ...COUNT, max: 1024 },
  vp: { name: "chunks", example: "2", ...COUNT, max: 128 },
  ep: { name: "EP", example: "64", ...COUNT, max: 1e5 },
  zero: { name: "the ZeRO stage", example: "1", whole: true, min: 0, max: 3 },
  microBatch: { name: "sequences of a micro-batch", example: "1", ...COUNT, max: 1e5 },
  price: { name: "a price per GPU-hour", example: "2 or 2.35", min: 0, max: 1e7 },
  network: { name: "GB/s per GPU", example: "50", min: 0.001, max: 1e5 },
  imbalance: { name: "the busiest rank's load over the mean", example: "1.1", min: 1, max: 100 },
  goodput: { name: "percent of the time", example: "95", min: 1, max: 100 },
};

/** Reads the controls; every fault says what would be right. */
export function read(form: Form): { asked?: Asked; faults: Fault[] } {
  const faults: Fault[] = [];
  const number = (field: Field): number | undefined => {
    const rule = RULES[field]!;
    const text = form[field].trim();
    if (text === "" && !rule.needed) return undefined;
    const value = amount(text);
    const what = rule.whole ? "a whole number" : "a number";
    const say = (expected: string) =>
      void faults.push({ field, message: `Expected ${expected}, such as ${rule.example}.` });
    if (value === null) return say(`${rule.name} as ${what}`);
    if (rule.whole && !Number.isInteger(value)) return say(what);
    if (value < rule.min || value > rule.max)
      return say(`${rule.min.toLocaleString("en-US")} to ${rule.max.toLocaleString("en-US")}`);
    return value;
  };
  const layout: Partial<Layout> = {};
  for (const field of LAYOUT_FIELDS) {
    if (form[field] === "") continue;
    if (field === "recompute") layout.recompute = form.recompute as Layout["recompute"];
    else (layout as Record<string, number | undefined>)[field] = number(field);
  }
  const goodput = number("goodput");
  const network = number("network");
  const asked: Asked = {
    tokens: number("tokens") ?? 0,
    ...(form.goal === "budget"
      ? { budget: number("budget") }
      : form.goal === "days"
        ? { days: number("days") }
        : { gpus: number("gpus") }),
    layout: Object.keys(layout).length > 0 ? layout : undefined,
    schedule: (form.schedule === "any" ? undefined : form.schedule || undefined) as ScheduleName | undefined,
    precision: (form.precision || undefined) as "bf16" | "fp8" | undefined,
    sequence: number("sequence"),
    batch: number("batch"),
    price: number("price"),
    networkBytesPerSec: network === undefined ? undefined : network * 1e9,
    imbalance: number("imbalance"),
    goodput: goodput === undefined ? undefined : goodput / 100,
  };
  if (form.on !== "" && !/^\d{4}-\d\d-\d\d$/.test(form.on))
    faults.push({ field: "on", message: "Expected a date, such as 2023-10-01." });
  return faults.length > 0 ? { faults } : { asked, faults };
}

/** A planner's complaint as the page says it: without the verb that a command line would name, and its flags as words. */
export const plainly = (message: string): string =>
  message
    .replace(/^plan: /, "")
    .replace(/--(\w+)/g, "$1")
    .replace(/^./, (c) => c.toUpperCase());
