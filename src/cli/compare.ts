/** `sumbi compare`: one training job on several chips, by time, money and law. */
import type { Command } from "commander";
import pc from "picocolors";
import { ConfigError, UsageError } from "../errors.ts";
import {
  BAND_RESTS,
  CHIPS,
  type Chip,
  type Currency,
  type Layout,
  layoutText,
  type PlanQuestion,
  type PlanResult,
  parseCurrency,
  plan,
  type ScheduleName,
  type Source,
} from "../plan/index.ts";
import { dayOf, legality, type Verdict } from "../plan/rules/index.ts";
import { type LawPlace, placeOf, placeText, VERDICT_COLOUR } from "./lawPlace.ts";
import { loadChip, loadPlanned, plannedArgument } from "./models.ts";
import { drawSources, drawWarnings, money, percent, short, wrap } from "./planView.ts";
import { bytes, progressLine } from "./print.ts";
import { onChip, type QuestionOptions, questionOf, questionOptions } from "./question.ts";

/** Chips compared where none are named: what labs on both sides of the export rules have had. */
const USUAL = [
  "a100-80",
  "a800",
  "h100",
  "h800",
  "h20",
  "h200",
  "b200",
  "gb200",
  "mi300x",
  "ascend-910b",
  "ascend-910c",
  "rtx-4090",
];

/** `sumbi compare MODEL`: one model on many chips. */
export function register(program: Command): void {
  questionOptions(
    program
      .command("compare")
      .description("one model on many chips: cost, time, memory, and whether one may have them")
      .argument("<model>", plannedArgument())
      .option(
        "--chips <list>",
        `chips of \`sumbi chips\` or JSON files of your own, with commas, or all; default: ${USUAL.join(",")}`,
      ),
  )
    .option("--date <day>", "day on which export rules are asked; default today")
    .option("--to <country>", "destination", "CN")
    .option("--headquarters <country>", "seat of the firm (of its ultimate parent); default the destination")
    .option("--json", "print one JSON object")
    .action((model: string, options: CompareOptions) => {
      const named = loadPlanned(model);
      const question = questionOf(named, options, "compare");
      if (question.gpus === undefined && question.days === undefined && question.budgetUsd === undefined)
        throw new UsageError("compare: expected --gpus, --days or --budget");
      const law = placeOf(
        "compare",
        options,
        dayOf(options.date ?? new Date().toISOString().slice(0, 10), "compare: --date"),
      );
      const comparison = compareChips(question, chipsOf(options.chips), options, law);
      process.stdout.write(
        options.json
          ? `${JSON.stringify(comparison, null, 2)}\n`
          : drawComparison(comparison, parseCurrency(options.currency)),
      );
    });
}

interface CompareOptions extends QuestionOptions {
  chips?: string;
  date?: string;
  to: string;
  headquarters?: string;
  json?: boolean;
}

function chipsOf(list: string | undefined): Chip[] {
  if (list?.trim() === "all") return Object.values(CHIPS);
  const names =
    list === undefined
      ? USUAL
      : list
          .split(",")
          .map((name) => name.trim())
          .filter((name) => name !== "");
  if (names.length === 0) throw new UsageError("compare: --chips: expected names such as h800,h20,910b, got none");
  return [...new Map(names.map(loadChip).map((chip) => [chip.id, chip])).values()];
}

export interface ChipAnswer {
  chip: string;
  name: string;
  /** Absent where the chip cannot do it; `problem` says why. */
  gpus?: number;
  gpuHours?: number;
  days?: number;
  usd?: number;
  usdPerGpuHour?: number;
  p10?: PlanResult["p10"];
  p90?: PlanResult["p90"];
  mfu?: number;
  tokensPerSecondPerGpu?: number;
  memoryBytes?: number;
  hbmBytes: number;
  layout?: Layout;
  schedule?: ScheduleName;
  precision?: string;
  problem?: string;
  legality: { verdict: Verdict; says: string };
}

export interface Comparison extends LawPlace {
  model: string;
  tokens: number;
  asked: { gpus?: number; days?: number; budgetUsd?: number };
  /** Cheapest first, then those that cannot. */
  chips: ChipAnswer[];
  sources: Source[];
  warnings: string[];
}

/** Asks the same question of every chip. A chip that cannot do it stays in the list with the reason. */
export function compareChips(
  question: Omit<PlanQuestion, "chip">,
  chips: Chip[],
  options: QuestionOptions,
  law: LawPlace,
): Comparison {
  const line = progressLine();
  const sources: Source[] = [];
  const answers = chips.map((chip, i): ChipAnswer => {
    line({ label: "comparing", done: i, total: chips.length, unit: "chips", note: chip.name });
    const { verdict, says, sources: cited } = legality({ chip, ...law });
    const base = { chip: chip.id, name: chip.name, hbmBytes: chip.hbmBytes, legality: { verdict, says } };
    sources.push(...chip.sources, ...cited);
    try {
      const r = plan(onChip(question, chip, options));
      sources.push(...r.sources);
      return {
        ...base,
        gpus: r.gpus,
        gpuHours: r.gpuHours,
        days: r.days,
        usd: r.usd,
        usdPerGpuHour: r.usdPerGpuHour,
        p10: r.p10,
        p90: r.p90,
        mfu: r.mfu,
        tokensPerSecondPerGpu: r.tokensPerSecondPerGpu,
        memoryBytes: r.memoryBytes.total,
        layout: r.layout,
        schedule: r.schedule,
        precision: r.precision,
      };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { ...base, problem: error.message };
    }
  });
  line.end();
  return {
    model: question.modelName,
    tokens: question.tokens,
    ...law,
    asked: { gpus: question.gpus, days: question.days, budgetUsd: question.budgetUsd },
    chips: answers.sort((a, b) => (a.usd ?? Infinity) - (b.usd ?? Infinity)),
    sources: [...new Map(sources.map((source) => [source.title, source])).values()],
    warnings: [
      "Hours, days and cost are as published whole runs went; --goodput says otherwise.",
      "Bands of hours and of prices are wide: two chips within 20 % of each other are equals here.",
      BAND_RESTS,
      ...(answers.some(({ problem }) => problem === undefined) ? [] : ["None of these chips can do it."]),
    ],
  };
}

export function drawComparison(comparison: Comparison, currency: Currency): string {
  const { chips, model, tokens, date } = comparison;
  const cells = (...texts: string[]) =>
    texts.map((text, i) => (i === 0 ? text.padEnd(22) : text.padStart([0, 8, 10, 8, 9, 8, 13][i] ?? 10))).join("");
  const lines = [
    pc.bold(`${model}, ${short(tokens)} tokens; export rules for ${placeText(comparison)} on ${date}`),
    pc.bold(`  ${cells("chip", "chips", "hours", "days", "cost", "MFU", "memory")}  rules`),
  ];
  for (const row of chips) {
    const verdict = VERDICT_COLOUR[row.legality.verdict](row.legality.verdict);
    if (row.problem !== undefined) {
      lines.push(
        `  ${row.name.padEnd(22)}${" ".repeat(46)}${" ".repeat(10)}  ${verdict}`,
        ...wrap(row.problem, 108).map((text) => pc.dim(`    ${text}`)),
      );
      continue;
    }
    const memory = `${(row.memoryBytes! / 1e9).toFixed(0)}/${bytes(row.hbmBytes).replace(".0", "")}`;
    lines.push(
      `  ${cells(row.name, short(row.gpus!), short(row.gpuHours!), short(row.days!), money(row.usd!, currency), percent(row.mfu!, 0), memory)}  ${verdict}`,
    );
    lines.push(
      pc.dim(`    ${layoutText(row.layout!)}, ${row.precision}, at ${money(row.usdPerGpuHour!, currency)} an hour`),
    );
  }
  return `${lines.join("\n")}\n${drawWarnings(comparison.warnings)}${drawSources(comparison.sources)}`;
}
