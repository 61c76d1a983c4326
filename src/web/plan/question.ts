/** The planner's question that a form asks. */
import { parseJson } from "../../json.ts";
import {
  type Asked,
  CHIPS,
  type Chip,
  type Owned,
  owned,
  type PlanQuestion,
  PURCHASE_PRICES,
  parseChip,
  parseCurrency,
  planModel,
  plannedArchitecture,
  purchasePrice,
  questionArchitecture,
  RefusedError,
  rentalRate,
  type Source,
  toUsd,
} from "../../plan/index.ts";
import { BLANK, type Fault, type Field, type Form, LAYOUT_FIELDS, read } from "./form.ts";

/** Faults of single controls, thrown where a question is read. */
export class FormError extends Error {
  constructor(readonly faults: Fault[]) {
    super(faults.map((fault) => fault.message).join("\n"));
  }
}

/** Runs `make`; what it throws is told at one control. */
function at<T>(field: Field, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new FormError([{ field, message: (error as Error).message }]);
  }
}

/** Parts of a question that have a control of another name. */
const CONTROLS: Partial<Record<Asked, Field>> = {
  budgetUsd: "budget",
  usdPerGpuHour: "price",
  networkBytesPerSec: "network",
  modelName: "model",
};

/** The control that a refusal is about: a part of the layout that the form fixes, the form's goal, else the likeliest; "" where none is. */
export function fieldOf(error: unknown, form: Form = BLANK): Field | "" {
  if (!(error instanceof RefusedError)) return "";
  const fields = error.about.map((part) => CONTROLS[part] ?? (part as Field));
  const fixed = fields.find((field) => LAYOUT_FIELDS.some((name) => name === field) && form[field] !== "");
  return fixed ?? fields.find((field) => field === form.goal) ?? fields[0] ?? "";
}

/** What an hour is taken to cost, how that was found, and where it is from. */
export interface Price {
  usdPerGpuHour: number;
  says: string;
  sources: Source[];
}

/** A planner's question from the form, with where its defaults come from. Throws FormError. */
export function questionOf(form: Form): { question: PlanQuestion; price: Price; sources: Source[] } {
  const { asked, faults } = read(form);
  if (!asked) throw new FormError(faults);
  const named = form.config ? undefined : at("model", () => planModel(form.model));
  const model = form.config
    ? at("config", () => plannedArchitecture(parseJson(form.config), { sizes: "stated" }))
    : named!.model;
  const preset = named?.preset;
  const chip = chipIn(form);
  const price = priceOf(form, chip, asked.price);
  const published = asked.layout?.pp === 1 ? undefined : preset?.schedule;
  const question: PlanQuestion = {
    model,
    modelName: named?.name ?? questionArchitecture({ model, modelName: "" }).name,
    tokens: asked.tokens,
    chip,
    gpus: asked.gpus,
    budgetUsd: asked.budget,
    days: asked.days,
    layout: asked.layout,
    schedule: form.schedule === "" ? published : asked.schedule,
    // FP8 is how the model was published, if it was; a chip without it takes BF16.
    precision: asked.precision ?? (preset?.precision === "fp8" && chip.fp8 ? "fp8" : undefined),
    sequence: asked.sequence ?? preset?.sequence,
    batch: asked.batch ?? preset?.batch,
    usdPerGpuHour: price.usdPerGpuHour,
    mtp: preset?.mtp,
    imbalance: asked.imbalance,
    goodput: asked.goodput,
    networkBytesPerSec: asked.networkBytesPerSec,
  };
  // What is not said is the planner's to choose; a key that says undefined could be taken for an answer.
  for (const key of Object.keys(question) as (keyof PlanQuestion)[])
    if (question[key] === undefined) delete question[key];
  return { question, price, sources: preset?.sources ?? [] };
}

function priceOf(form: Form, chip: Chip, typed: number | undefined): Price {
  if (form.own === "owned") {
    const hour = ownedHours(form, chip, 1, 1);
    return {
      usdPerGpuHour: hour.usdPerGpuHour,
      says: `on a machine of one's own, over ${hour.years} years at ${(hour.utilization * 100).toFixed(0)} % use`,
      sources: hour.sources,
    };
  }
  if (typed !== undefined)
    return {
      usdPerGpuHour: at("currency", () => toUsd(typed, parseCurrency(form.currency))),
      says: "as typed",
      sources: [],
    };
  const { usdPerGpuHour, says, sources } = at("chip", () => rentalRate(chip));
  return { usdPerGpuHour, says, sources };
}

/** The cost of hours on machines that were bought; the form's price is then a chip's. Throws FormError where none is known. */
export function ownedHours(form: Form, chip: Chip, gpus: number, gpuHours: number): Owned {
  const typed = read(form).asked?.price;
  const known = purchasePrice(chip);
  if (typed === undefined && !known) {
    const others = PURCHASE_PRICES.map((price) => price.chip).join(", ");
    throw new FormError([
      {
        field: "price",
        message: `What the ${chip.name} sells for is not known. Type a price per chip; known are ${others}.`,
      },
    ]);
  }
  const purchaseUsd =
    typed === undefined ? known!.usd : at("currency", () => toUsd(typed, parseCurrency(form.currency)));
  return owned({ chip, gpus, gpuHours, purchaseUsd, purchaseSources: typed === undefined ? known!.sources : [] });
}

function chipIn(form: Form): Chip {
  if (form.mychip) return at("mychip", () => parseChip(parseJson(form.mychip), "own chip"));
  return at("chip", () => {
    const chip = CHIPS[form.chip.toLowerCase()];
    if (!chip) throw new Error(`Expected one of ${Object.keys(CHIPS).join(", ")}, got ${JSON.stringify(form.chip)}.`);
    return chip;
  });
}
