/** `sumbi plan`: what training a model costs, in which layout, for how long. */
import type { Command } from "commander";
import { ConfigError, UsageError } from "../errors.ts";
import {
  CHIPS,
  type Chip,
  type Currency,
  clusterOf,
  energy,
  jobOf,
  type NamedModel,
  owned,
  PHASES,
  type Phased,
  type PlanQuestion,
  type PlanResult,
  parseCurrency,
  phasesOf,
  plan,
  planPhases,
  purchasePrice,
  questionArchitecture,
  serve,
  stepDetails,
} from "../plan/index.ts";
import { dayOf, LAWFUL, legality, legalOn } from "../plan/rules/index.ts";
import { simulate, timelineSvg, toTrace } from "../plan/schedule/index.ts";
import { compareChips, drawComparison } from "./compare.ts";
import { type LawPlace, placeOf, placeText } from "./lawPlace.ts";
import { loadChip, loadPlanned, plannedArgument } from "./models.ts";
import { writeOutput } from "./output.ts";
import { drawPhases, drawPlan, drawSources, type PlanExtras } from "./planView.ts";
import { progressLine } from "./print.ts";
import { parseLayout, quantity } from "./quantities.ts";
import { onChip, type QuestionOptions, questionOf, questionOptions } from "./question.ts";

/** `sumbi plan MODEL`: what training it costs, in which layout, for how long. */
export function register(program: Command): void {
  questionOptions(
    program
      .command("plan")
      .description("what training a model costs: layout, memory, hours, days, money")
      .argument("<model>", plannedArgument())
      .option(
        "--chip <chip>",
        "a chip of `sumbi chips`, or a JSON file of your own; default: the one it was trained on, else h100",
      ),
  )
    .option("--layout <sizes>", "what of the layout is fixed: pp=16,ep=64,zero=1,tp=1,recompute=selective,…")
    .option("--owned", "also the cost on machines of one's own")
    .option("--purchase <usd>", "price of a chip to buy, for --owned")
    .option("--country <code>", "grid for electricity and CO2: CN, US, KR, …")
    .option("--legal-on <day>", "only chips that could be had that day; without --chip all of them are compared")
    .option("--to <country>", "destination, for --legal-on; default CN")
    .option(
      "--headquarters <country>",
      "seat of the firm (of its ultimate parent), for --legal-on; default the destination",
    )
    .option("--trace <file>", "write the step's schedule for Perfetto (ui.perfetto.dev)")
    .option("--timeline <file>", "draw the step's schedule as SVG")
    .option("--serving", "also serving: tokens a second, dollars a million")
    .option("--phases", "also the phases after pretraining")
    .option("--json", "print one JSON object")
    .action((model: string, options: PlanCommandOptions) => {
      process.stdout.write(run(model, options));
    });
}

export interface PlanCommandOptions extends QuestionOptions {
  chip?: string;
  layout?: string;
  owned?: boolean;
  purchase?: string;
  country?: string;
  legalOn?: string;
  to?: string;
  headquarters?: string;
  trace?: string;
  timeline?: string;
  serving?: boolean;
  phases?: boolean;
  json?: boolean;
}

function run(model: string, options: PlanCommandOptions): string {
  const named = loadPlanned(model);
  const legal = options.legalOn === undefined ? undefined : dayOf(options.legalOn, "plan: --legal-on");
  const currency = parseCurrency(options.currency);
  if (legal === undefined && (options.to ?? options.headquarters) !== undefined)
    throw new UsageError(
      "plan: --to and --headquarters say where the export rules are asked; expected --legal-on with the day beside them",
    );
  const law = legal === undefined ? undefined : placeOf("plan", options, legal);
  if (law !== undefined && options.chip === undefined) return runLegal(named, options, law, currency);
  const phased = phasesOf(named.name);
  const chip = loadChip(options.chip ?? named.preset?.chip ?? "h100");
  if (law !== undefined) checkLegal(chip, law);
  const only = named.name === "deepseek-r1" || (phased !== undefined && named.preset === undefined);
  if (only && options.tokens === undefined) return runPhases(named, phased!, chip, options, currency);

  const question = onChip(
    {
      ...questionOf(named, options),
      layout: options.layout === undefined ? undefined : parseLayout(options.layout, "plan: --layout"),
    },
    chip,
    options,
  );
  if (question.gpus === undefined && question.days === undefined && question.budgetUsd === undefined)
    throw new UsageError("plan: expected --gpus, --days or --budget, got none; for example --gpus 1024");
  const result = asked(question);
  if (options.country !== undefined)
    result.energy = energy({ chip, gpuHours: result.gpuHours, country: options.country });
  const extras: PlanExtras = { currency, chip };
  if (options.owned) extras.owned = ownedOf(result, chip, options);
  if (options.serving)
    extras.serving = serve({
      architecture: questionArchitecture(question),
      cluster: clusterOf(chip, result.gpus, { networkBytesPerSec: question.networkBytesPerSec }),
      precision: result.precision,
      usdPerGpuHour: result.usdPerGpuHour,
      tokensPerSecondPerUser: 20,
      ...(questionArchitecture(question).mtpDepth > 0 && { speculation: { acceptance: 0.87, drafted: 1 } }),
    });
  if (options.phases) {
    if (!phased)
      throw new UsageError(
        `plan: --phases: none are known of ${named.name}; known: ${Object.keys(PHASES).join(", ")} and the R1 distills`,
      );
    extras.phases = planPhases({ ...question, gpus: result.gpus }, phased.phases, {
      speculation: phased.speculation,
      onProgress: progress("phases"),
    });
  }
  draw(question, result, options);
  return options.json ? `${JSON.stringify({ ...result, ...jsonExtras(extras) }, null, 2)}\n` : drawPlan(result, extras);
}

const jsonExtras = ({ owned: own, phases, serving }: PlanExtras) => ({
  ...(own && { owned: own }),
  ...(phases && { phases }),
  ...(serving && { serving }),
});

const progress = (label: string) => {
  const line = progressLine();
  return (done: number, total: number, note: string) => {
    line({ label, done, total, unit: "steps", note });
    if (done >= total) line.end();
  };
};

function asked(question: PlanQuestion): PlanResult {
  const line = progressLine();
  try {
    return plan(question, {
      onProgress: (done, total, note) => line({ label: "searching layouts", done, total, unit: "searches", note }),
    });
  } finally {
    line.end();
  }
}

/** `sumbi plan r1`: a model whose own training is its phases alone. */
function runPhases(
  named: NamedModel,
  phased: Phased,
  chip: Chip,
  options: PlanCommandOptions,
  currency: Currency,
): string {
  const base = questionOf(named, { ...options, tokens: "1T" });
  const gpus = (options.gpus === undefined ? undefined : base.gpus) ?? phased.gpus ?? 512;
  if (base.days !== undefined || base.budgetUsd !== undefined)
    throw new UsageError(`plan: ${named.name}'s phases take --gpus; --days and --budget solve for pretraining only`);
  const question = onChip(
    {
      ...base,
      gpus,
      batch: base.batch ?? 512,
      layout: options.layout === undefined ? undefined : parseLayout(options.layout, "plan: --layout"),
    },
    chip,
    options,
  );
  const phases = planPhases({ ...question, gpus }, phased.phases, {
    speculation: phased.speculation,
    onProgress: progress("phases"),
  });
  const summary = {
    model: named.name,
    chip: chip.id,
    gpus,
    gpuHours: phases.gpuHours,
    days: phases.days,
    usd: phases.usd,
    p10: phases.p10,
    p90: phases.p90,
    restsOn: phases.restsOn,
    phases: phases.phases,
    sources: phases.sources,
  };
  if (options.json) return `${JSON.stringify(summary, null, 2)}\n`;
  return `${named.name} on ${gpus} × ${chip.name}\n${drawPhases(phases, currency)}${drawSources([...phases.sources, ...chip.sources])}`;
}

function checkLegal(chip: Chip, law: LawPlace): void {
  const answer = legality({ chip, ...law });
  if (LAWFUL.includes(answer.verdict)) return;
  const { date, to, headquarters } = law;
  const legal = legalOn(date, to, headquarters)
    .map(({ id }) => id)
    .filter((id) => Object.hasOwn(CHIPS, id));
  throw new ConfigError(
    `plan: ${chip.name} could not be had in ${placeText(law)} on ${date} without a licence (${answer.verdict}: ${answer.says}); could be: ${legal.join(", ")}`,
  );
}

/** What could this lab have trained? Every chip that could be had that day. */
function runLegal(named: NamedModel, options: PlanCommandOptions, law: LawPlace, currency: Currency): string {
  const { date, to, headquarters } = law;
  const chips = legalOn(date, to, headquarters)
    .flatMap(({ id }) => (Object.hasOwn(CHIPS, id) ? [CHIPS[id]!] : []))
    .filter((chip) => chip.released <= date);
  if (chips.length === 0)
    throw new ConfigError(`plan: no chip of the table could be had in ${placeText(law)} on ${date}`);
  const question = {
    ...questionOf(named, options),
    layout: options.layout === undefined ? undefined : parseLayout(options.layout, "plan: --layout"),
  };
  const comparison = compareChips(question, chips, options, law);
  if (options.json) return `${JSON.stringify(comparison, null, 2)}\n`;
  return drawComparison(comparison, currency);
}

function ownedOf(result: PlanResult, chip: Chip, options: PlanCommandOptions) {
  const known = purchasePrice(chip);
  const purchaseUsd = options.purchase === undefined ? known?.usd : quantity(options.purchase, "plan: --purchase");
  if (purchaseUsd === undefined)
    throw new UsageError(`plan: --owned: no price to buy ${chip.name} at is known; give --purchase`);
  return owned({
    chip,
    gpus: result.gpus,
    gpuHours: result.gpuHours,
    purchaseUsd,
    country: options.country,
    ...(options.purchase === undefined && known && { purchaseSources: known.sources }),
  });
}

/** Writes the trace and the drawing of one step's schedule. */
function draw(question: PlanQuestion, result: PlanResult, options: PlanCommandOptions): void {
  if (options.trace === undefined && options.timeline === undefined) return;
  if (result.layout.pp === 1)
    throw new ConfigError(`plan: the layout has no pipeline to draw; nearest that works: --layout pp=2`);
  const job = { ...jobOf(question, result.gpus), schedule: result.schedule };
  const { stages, sendSeconds } = stepDetails(job, result.layout);
  const schedule = simulate({
    schedule: result.schedule,
    stages,
    pp: result.layout.pp,
    vp: result.layout.vp,
    microBatches: result.microBatches!,
    sendSeconds,
  });
  if (options.trace !== undefined)
    writeOutput("--trace", options.trace, JSON.stringify(toTrace(schedule)), (text) =>
      /"traceEvents":\[\{"ph":"M","name":"process_name"/.test(text),
    );
  if (options.timeline !== undefined) {
    const title = `${result.model}: ${result.schedule}, ${result.layout.pp} ranks, ${result.microBatches} micro-batches`;
    writeOutput("--timeline", options.timeline, timelineSvg(schedule, { title }), (text) =>
      /^<svg [^>]* role="img" [^>]*>\s*<title>[^<]* micro-batches<\/title>/.test(text),
    );
  }
}
