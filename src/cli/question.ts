/** What `plan` and `compare` ask alike: their options, and the planner's question in them. */
import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import {
  type Chip,
  type NamedModel,
  type PlanQuestion,
  parseCurrency,
  SCHEDULES,
  type ScheduleName,
  toUsd,
} from "../plan/index.ts";
import { byteRate, quantity, share, wholeQuantity } from "./quantities.ts";

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
    .option(
      "--goodput <share>",
      "share of the best steady state that the run keeps; default: what published whole runs kept",
    )
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

/** The question of a command line, but for its chip. */
export function questionOf(
  { name, model, preset }: NamedModel,
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
    model,
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
