/** What the planner's worker answers: a form planned, drawn, priced. */
import { ConfigError } from "../../errors.ts";
import { parseJson } from "../../json.ts";
import { audit, parseClaim } from "../../plan/audit/index.ts";
import { CLAIMS, claimOf } from "../../plan/claims/index.ts";
import {
  CHIPS,
  type Chip,
  type Currency,
  energy,
  exchangeRate,
  jobOf,
  type Layout,
  lines,
  PHASES,
  type PhasesResult,
  PLAN_PRESETS,
  type PlanQuestion,
  type PlanResult,
  plan,
  planModelNames,
  planPhases,
  purchasePrice,
  rentalRate,
  type ScheduleResult,
  stepDetails,
} from "../../plan/index.ts";
import { allCountries } from "../../plan/rules/index.ts";
import { simulate, toTrace } from "../../plan/schedule/index.ts";
import type { Form } from "./form.ts";
import { count, days, layoutText, reasonText } from "./format.ts";
import { lawful, lawOf } from "./law.ts";
import type { Answer, Catalogue, Drawn, MoneyLine, Point, Undrawn } from "./messages.ts";
import { FormError, ownedHours, questionOf } from "./question.ts";

const CURRENCIES: Currency[] = ["USD", "RMB", "KRW"];

/** What the page may offer. */
export function catalogue(): Catalogue {
  return {
    models: planModelNames().map((id) => ({ id, name: id, tokens: PLAN_PRESETS[id]?.tokens })),
    chips: Object.values(CHIPS),
    countries: allCountries(),
    claims: Object.entries(CLAIMS).map(([id, claim]) => ({
      id,
      title: claim.title ?? claim.name,
      text: JSON.stringify(claim, null, 2),
    })),
    currencies: CURRENCIES.map((id) =>
      id === "USD" ? { id, perUsd: 1 } : { id, perUsd: exchangeRate(id).perUsd, source: exchangeRate(id).source },
    ),
  };
}

/** The planner's answer to a form. Throws FormError, or the planner's own errors. */
export function ask(form: Form): Answer {
  const started = performance.now();
  const { question, price, sources } = questionOf(form);
  const result = plan(question);
  return {
    form,
    result: { ...result, sources: [...result.sources, ...sources] },
    chip: question.chip,
    price,
    money: moneyOf(form, question, result),
    facts: factsOf(form, question, result),
    law: lawOf(question.chip, form),
    phased: !form.config && Object.hasOwn(PHASES, question.modelName),
    seconds: (performance.now() - started) / 1000,
  };
}

/** The final run and the whole programme: two lines, each with what it pays for. */
function moneyOf(form: Form, question: PlanQuestion, result: PlanResult): MoneyLine[] {
  const { usd } = result;
  const programme = result.programme ?? lines({ usd, p10: result.p10.usd, p90: result.p90.usd }).programme;
  const times = programme.multiple;
  return [
    {
      name: "Final run",
      usd,
      p10: result.p10.usd,
      p90: result.p90.usd,
      note: form.own === "owned" ? "on machines of one's own" : "rented",
      parts: form.own === "owned" ? ownedParts(form, question, result) : rentedParts(result),
    },
    {
      name: "Whole programme",
      usd: programme.usd,
      p10: programme.low,
      p90: programme.high,
      note: `${times.low.toFixed(1)} to ${times.high.toFixed(0)} times the final run; data and salaries of researchers are in neither`,
      parts: [
        { name: "the final run", usd },
        {
          name: "experiments, failed and unreleased runs",
          usd: programme.usd - usd,
          help: `${(times.middle - 1).toFixed(1)} times the final run`,
        },
      ],
      sources: programme.sources,
    },
  ];
}

const PAID: [keyof PlanResult["parts"], string][] = [
  ["compute", "products, attention"],
  ["memoryBound", "memory-bound work"],
  ["bubble", "pipeline bubble"],
  ["optimizer", "optimizer"],
  ["overhead", "overhead"],
];

/** What rented hours go to: the step's parts, and what failures and checkpoints take. */
function rentedParts(result: PlanResult): MoneyLine["parts"] {
  const perSecond = (result.usd * result.goodput) / result.stepSeconds;
  const { tp, ep, cp, pp, dp } = result.parts;
  return [
    ...PAID.map(([key, name]) => ({ name, usd: result.parts[key] * perSecond })),
    { name: "communication", usd: (tp + ep + cp + pp + dp) * perSecond, help: "As far as nothing hides it" },
    {
      name: "lost time",
      usd: result.usd * (1 - result.goodput),
      help: "Failures, restarts, evaluation, poorer layouts",
    },
  ];
}

function ownedParts(form: Form, { chip }: PlanQuestion, result: PlanResult): MoneyLine["parts"] {
  const { parts } = ownedHours(form, chip, result.gpus, result.gpuHours);
  return [
    { name: "chips", usd: parts.chips, help: "Straight depreciation" },
    { name: "servers", usd: parts.servers },
    { name: "network", usd: parts.network },
    { name: "electricity", usd: parts.electricity },
    { name: "operators", usd: parts.staff },
  ];
}

function factsOf(form: Form, { chip, goodput }: PlanQuestion, result: PlanResult): Answer["facts"] {
  const power = form.to
    ? energy({ chip, gpuHours: result.gpuHours, country: gridIn(form.to) })
    : (result.energy ?? energy({ chip, gpuHours: result.gpuHours }));
  const facts: Answer["facts"] = [
    { name: "Electricity", value: `${count(power.kwh / 1e3, 3)} MWh`, sources: power.sources },
    { name: `CO₂, grid of ${power.country}`, value: `${count(power.co2Tonnes, 3)} t`, sources: power.sources },
    {
      name: "Time that counts",
      value: `${(result.goodput * 100).toFixed(1)} %, ${result.goodputIs}${goodput === undefined && result.failures ? `; ${often(result.failures.interruptionsPerDay)}` : ""}`,
    },
  ];
  if (form.own === "owned") {
    const own = ownedHours(form, chip, result.gpus, result.gpuHours);
    facts.push({ name: "To buy the machines first", value: `$${count(own.capitalUsd, 3)}`, sources: own.sources });
  }
  return facts;
}

const often = (perDay: number): string =>
  Math.abs(perDay - 1) < 0.1
    ? "about a failure a day"
    : perDay > 1
      ? `${Number(perDay.toPrecision(2))} failures a day`
      : `a failure every ${Number((1 / perDay).toPrecision(2))} days`;

const gridIn = (country: string): string | undefined => {
  try {
    energy({ chip: CHIPS.h100!, gpuHours: 1, country });
    return country;
  } catch {
    return undefined;
  }
};

/** The answer's step, played; null without a pipeline, and why it is not drawn where it is too long for that. */
export function timeline({ form, result }: Answer): Drawn | Undrawn | null {
  if (result.layout.pp < 2) return null;
  const { question } = questionOf(form);
  const job = jobOf({ ...question, schedule: result.schedule, precision: result.precision }, result.gpus);
  const { stages, sendSeconds } = stepDetails(job, result.layout);
  const microBatches = job.batch / (result.layout.dp * result.layout.microBatch);
  let played: ScheduleResult;
  try {
    played = simulate({
      schedule: result.schedule,
      stages,
      pp: result.layout.pp,
      vp: result.layout.vp,
      microBatches,
      sendSeconds,
    });
  } catch (error) {
    if (error instanceof ConfigError) return { why: error.message };
    throw error;
  }
  return {
    timeline: played,
    trace: JSON.stringify(toTrace(played, { pipeline: `${result.model} on ${result.gpus} ${result.chip}` })),
  };
}

const FACTORS = [1 / 2, 2, 1 / 4, 4, 1 / 8, 8];
/** Chips a buyer would weigh against each other; the question's own is left out. */
const RIVALS = ["h100", "h800", "h200", "b200", "mi300x", "ascend-910c", "h20", "a100-80"];

/** Points of the plot, as they are found: this question's layouts, other counts of its chip, other chips. */
export function* points({ form, result, chip }: Answer): Generator<{ points: Point[]; left: number }> {
  const { question } = questionOf(form);
  const { budgetUsd: _, days: __, ...asked } = question;
  // The schedule that won here is taken for the others too: four searches each would take minutes.
  const rest = { ...asked, schedule: result.schedule };
  const ways: { kind: "gpus" | "chips"; question: PlanQuestion }[] = [];
  // A layout that fixes how many GPUs there are cannot hold for another number.
  const { dp: ___, ...layout } = question.layout ?? {};
  for (const factor of FACTORS) {
    const gpus = Math.round(result.gpus * factor);
    if (gpus >= 1 && gpus <= 1e6) ways.push({ kind: "gpus", question: { ...rest, gpus, layout } });
  }
  for (const id of RIVALS.filter((id) => id !== chip.id && CHIPS[id]).slice(0, 6)) {
    const { networkBytesPerSec: ____, layout: _____, precision, ...free } = rest;
    const usdPerGpuHour = priceElsewhere(form, CHIPS[id]!);
    if (usdPerGpuHour !== undefined)
      ways.push({
        kind: "chips",
        question: {
          ...free,
          chip: CHIPS[id]!,
          gpus: result.gpus,
          ...(CHIPS[id]!.fp8 && precision ? { precision } : {}),
          usdPerGpuHour,
        },
      });
  }
  const here = (l: Layout, slower: number, why: string): Point => ({
    kind: "here",
    label: `${result.gpus.toLocaleString("en-US")} ${chip.name}`,
    days: result.days * (1 + slower),
    usd: result.usd * (1 + slower),
    gpus: result.gpus,
    chip: chip.id,
    layout: layoutText(l),
    why,
    legal: lawful(chip, form),
  });
  yield {
    points: [
      here(result.layout, 0, "The answer: the fastest layout that fits."),
      ...result.runnersUp.filter((r) => r.step.fits).map((r) => here(r.step.layout, r.slower, reasonText(r))),
    ],
    left: ways.length,
  };
  for (const [i, way] of ways.entries()) {
    const left = ways.length - 1 - i;
    try {
      const other = plan(way.question);
      yield {
        left,
        points: [
          {
            kind: way.kind,
            label: `${other.gpus.toLocaleString("en-US")} ${way.question.chip.name}`,
            days: other.days,
            usd: other.usd,
            gpus: other.gpus,
            chip: way.question.chip.id,
            layout: layoutText(other.layout),
            legal: lawful(way.question.chip, form),
            why: `Its best layout: ${days(other.days)} at ${(other.mfu * 100).toFixed(0)} % MFU; ${compared(other, result)}`,
          },
        ],
      };
    } catch {
      // Too few to hold the model, or a batch that does not divide: that plan does not exist.
      yield { left, points: [] };
    }
  }
}

/** What an hour of another chip costs in the question's manner, rented or bought; undefined where no price is known. A typed price is this chip's alone. */
function priceElsewhere(form: Form, chip: Chip): number | undefined {
  if (form.own !== "owned") return rentalRate(chip).usdPerGpuHour;
  return purchasePrice(chip) && ownedHours({ ...form, price: "" }, chip, 1, 1).usdPerGpuHour;
}

const compared = (other: PlanResult, answer: PlanResult): string => {
  const share = other.gpuHours / answer.gpuHours - 1;
  return Math.abs(share) < 0.005
    ? "as many GPU-hours as the answer."
    : `${Math.abs(share * 100).toFixed(0)} % ${share > 0 ? "more" : "fewer"} GPU-hours than the answer.`;
};

/** Every phase of the form's model on so many GPUs; layouts are searched anew for each, as none suits them all. Throws FormError. */
export function phases(
  form: Form,
  gpus: number,
  onProgress: (done: number, total: number, note: string) => void,
): PhasesResult {
  const { question } = questionOf(form);
  const { layout: _, budgetUsd: __, days: ___, ...rest } = question;
  const { phases: specs, speculation } = PHASES[question.modelName]!;
  return planPhases({ ...rest, gpus }, specs, {
    speculation,
    onProgress: (done, total, note) => void (done < total && onProgress(done, total, note)),
  });
}

/** The audit of a claim that ships, by name, or of one pasted as JSON. Throws FormError. */
export function report(claim: string): unknown {
  if (!claim.trimStart().startsWith("{")) return audit(claimOf(claim));
  let json: unknown;
  try {
    json = parseJson(claim);
  } catch (error) {
    throw new FormError([{ field: "", message: `This is not JSON: ${(error as Error).message}` }]);
  }
  return audit(parseClaim(json));
}
