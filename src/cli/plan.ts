import { type Command, Option } from "commander";
import { ConfigError, UsageError } from "../errors.ts";
import {
  CHIPS,
  type Chip,
  type Currency,
  clusterOf,
  distillPhases,
  energy,
  jobOf,
  type NamedModel,
  owned,
  PHASES,
  type PhaseSpec,
  type PlanQuestion,
  type PlanResult,
  parseCurrency,
  plan,
  planPhases,
  purchasePrice,
  questionArchitecture,
  SCHEDULES,
  type ScheduleName,
  serve,
  stepDetails,
  toUsd,
} from "../plan/index.ts";
import { dayOf, LAWFUL, legality, legalOn } from "../plan/rules/index.ts";
import { simulate, timelineSvg, toTrace } from "../plan/schedule/index.ts";
import { compareChips, drawComparison } from "./compare.ts";
import { type LawPlace, placeOf, placeText } from "./lawPlace.ts";
import { loadChip, loadModel, modelArgument } from "./models.ts";
import { writeOutput } from "./output.ts";
import { drawPhases, drawPlan, drawSources, type PlanExtras } from "./planView.ts";
import { progressLine } from "./print.ts";
import { byteRate, parseLayout, quantity, share, wholeQuantity } from "./quantities.ts";

/** `sumbi plan MODEL`: what training it costs, in which layout, for how long. */
export function register(program: Command): void {
  questionOptions(
    program
      .command("plan")
      .description("what training a model costs: layout, memory, hours, days, money")
      .argument("<model>", modelArgument())
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

/** Options that `plan` and `compare` share. */
export function questionOptions(command: Command): Command {
  return command
    .option("--tokens <n>", "tokens to train on: 14.8T, 300B; default: what it was trained on")
    .option("--gpus <n>", "chips to use")
    .option("--days <n>", "instead: the fewest chips that finish in so many days")
    .option("--budget <money>", "instead: the most chips whose run it pays for")
    .addOption(new Option("--schedule <name>", "pipeline schedule").choices(SCHEDULES))
    .addOption(new Option("--precision <name>", "of products").choices(["bf16", "fp8"]))
    .option("--sequence <tokens>", "tokens of a sequence")
    .option("--batch <sequences>", "sequences of a batch")
    .option("--price <money>", "of a GPU-hour; default: what is known of the chip's rent")
    .option("--currency <code>", "USD, RMB or KRW, for --price, --budget and the screen", "USD")
    .option("--goodput <share>", "share of time that counts; default: from failures and checkpoints")
    .option("--imbalance <factor>", "busiest expert rank's load over the mean; default 1")
    .option("--network <rate>", "between nodes, one direction, per chip: 50GB or 400Gb")
    .option("--mtp", "train the multi-token-prediction modules; default: if the model has them")
    .option("--no-mtp", "leave them out");
}

export interface QuestionOptions {
  tokens?: string;
  gpus?: string;
  days?: string;
  budget?: string;
  schedule?: ScheduleName;
  precision?: "bf16" | "fp8";
  sequence?: string;
  batch?: string;
  price?: string;
  currency: string;
  goodput?: string;
  imbalance?: string;
  network?: string;
  mtp?: boolean;
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

/** The question of a command line, but for its chip. */
export function questionOf(
  { name, config, preset }: NamedModel,
  options: QuestionOptions,
  verb = "plan",
): Omit<PlanQuestion, "chip"> {
  const currency = parseCurrency(options.currency);
  const read = <T>(
    text: string | undefined,
    option: string,
    parse: (text: string, option: string) => T,
  ): T | undefined => (text === undefined ? undefined : parse(text, `${verb}: --${option}`));
  const cash = (text: string | undefined, option: string) => {
    const amount = read(text, option, quantity);
    return amount === undefined ? undefined : toUsd(amount, currency);
  };
  const tokens = read(options.tokens, "tokens", quantity) ?? preset?.tokens;
  if (tokens === undefined)
    throw new UsageError(
      `${verb}: expected --tokens such as 2T, since it is not published what ${name} was trained on`,
    );
  const gpus = read(options.gpus, "gpus", wholeQuantity);
  const days = read(options.days, "days", quantity);
  const budgetUsd = cash(options.budget, "budget");
  if (gpus !== undefined && days !== undefined)
    throw new UsageError(`${verb}: expected --gpus or --days, got both; the other follows`);
  return {
    model: config,
    modelName: name,
    tokens,
    days,
    budgetUsd,
    gpus: gpus ?? (days === undefined && budgetUsd === undefined ? preset?.gpus : undefined),
    schedule: options.schedule ?? preset?.schedule,
    precision: options.precision ?? preset?.precision,
    sequence: read(options.sequence, "sequence", wholeQuantity) ?? preset?.sequence,
    batch: read(options.batch, "batch", wholeQuantity) ?? preset?.batch,
    usdPerGpuHour: cash(options.price, "price"),
    goodput: read(options.goodput, "goodput", share),
    imbalance: read(options.imbalance, "imbalance", quantity),
    networkBytesPerSec: read(options.network, "network", byteRate),
    mtp: options.mtp ?? preset?.mtp,
  };
}

/** A chip without FP8 trains in BF16 where FP8 was only the model's habit and not asked for. */
export const onChip = (question: Omit<PlanQuestion, "chip">, chip: Chip, asked: QuestionOptions): PlanQuestion => ({
  ...question,
  chip,
  precision: !chip.fp8 && asked.precision === undefined ? "bf16" : question.precision,
});

function run(model: string, options: PlanCommandOptions): string {
  const named = loadModel(model);
  const legal = options.legalOn === undefined ? undefined : dayOf(options.legalOn, "plan: --legal-on");
  const currency = parseCurrency(options.currency);
  if (legal === undefined && (options.to ?? options.headquarters) !== undefined)
    throw new UsageError(
      "plan: --to and --headquarters say where the export rules are asked; expected --legal-on with the day beside them",
    );
  const law = legal === undefined ? undefined : placeOf("plan", options, legal);
  if (law !== undefined && options.chip === undefined) return runLegal(named, options, law, currency);
  const phased = phasesOf(named);
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

interface Phased {
  gpus?: number;
  speculation?: { acceptance: number; drafted: number };
  phases: PhaseSpec[];
}

function phasesOf({ name }: NamedModel): Phased | undefined {
  if (Object.hasOwn(PHASES, name)) return PHASES[name];
  return name.startsWith("r1-distill") || name.startsWith("r1-0528")
    ? { gpus: 64, phases: distillPhases() }
    : undefined;
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
