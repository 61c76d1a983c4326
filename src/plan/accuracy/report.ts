/** docs/accuracy.md: the scoreboard as Markdown. */
import { flopsPerToken } from "../architecture.ts";
import { BOUNDS, CONSTANT_NAMES, type Constants } from "../constants.ts";
import { layoutText } from "../layouts.ts";
import { stepDetails } from "../step.ts";
import { TRAITS, type Trait } from "../widths.ts";
import { memoryErrors } from "./memoryRows.ts";
import { ROWS, V3_JOB, V3_LAYOUT, V3_PAIR, V3_STEP } from "./rows.ts";
import { median, type Scoreboard, type Scored } from "./score.ts";

const percent = (share: number, signed = true): string =>
  `${signed && share >= 0 ? "+" : ""}${(100 * share).toFixed(1)} %`;
const table = (head: string[], rows: (string | number)[][]): string[] => [
  `| ${head.join(" | ")} |`,
  `|${head.map(() => "---|").join("")}`,
  ...rows.map((r) => `| ${r.join(" | ")} |`),
  "",
];
const size = (value: number): string => (value < 1e-3 ? `${(value * 1e6).toPrecision(3)} µs` : value.toPrecision(3));

const TRAIT_NAMES: Record<Trait, string> = {
  mixture: "mixture of experts",
  hopper: "Hopper (FP8, no FP4)",
  later: "Blackwell, or another maker's chip",
  searched: "layout not given",
  wholeRun: "hours of a whole run",
};
/** What the planner of before did with rows that nobody had seen: these and thirty more. */
const LATER_THEN =
  "its bands, one width for all, held 55 % of 69 unseen rows (mixtures 37 %, Blackwell 35 %), with a median error of 13 % in steady states";

export interface Bar {
  what: string;
  bar: string;
  reached: string;
  holds: boolean;
}

const errorOf = (rows: Scored[]): number => median(rows.map(({ error }) => Math.abs(error)));

/** Parts of V3's step, predicted by constants that never saw it. */
function v3Parts(constants: Constants): { name: string; predicted: number; published: number; error: number }[] {
  const { kinds, dpSeconds, optimizerSeconds, estimate } = stepDetails(V3_JOB, V3_LAYOUT, constants);
  const predicted = {
    step: estimate.stepSeconds,
    forward: kinds.forward,
    backward: kinds.backward,
    weight: kinds.weight,
    pair: kinds.pair,
    bubble: kinds.idle,
    optimizer: dpSeconds + optimizerSeconds,
  };
  const names = {
    step: "whole step",
    forward: "1F",
    backward: "1B",
    weight: "1W",
    pair: "1F1B",
    bubble: "bubble",
    optimizer: "optimizer and exchange",
  };
  return (Object.keys(names) as (keyof typeof names)[]).map((key) => ({
    name: names[key],
    predicted: predicted[key],
    published: V3_STEP[key],
    error: predicted[key] / V3_STEP[key] - 1,
  }));
}

/** Hours by six FLOPs a parameter and token at a utilization of the 16-bit peak. */
const sixNd = ({ settled: { row } }: Scored, mfu: number): number =>
  (6 * row.active! * row.tokens!) / (mfu * row.job.cluster.chip.bf16FlopsPerSec) / 3600;

const leastShare = ({ slices }: Scoreboard): number =>
  Math.min(...slices.filter(({ rows }) => rows >= 10).map(({ rows, inside }) => inside / rows));

/** The bars of the project and where this scoreboard stands. */
export function barsOf(board: Scoreboard): Bar[] {
  const counted = board.rows.filter(({ settled }) => !settled.row.apart);
  const family = (name: string) => counted.filter(({ settled }) => settled.row.family === name);
  const v3 = board.constants.get("DeepSeek-V3")!;
  const parts = v3Parts(v3);
  const bad = parts.filter(({ error }) => Math.abs(error) > 0.1);
  const hours = board.rows.find(({ settled }) => settled.row.id === "DeepSeek-V3")!;
  const whole = counted.filter(({ settled }) => settled.row.whole);
  const flops = (mtp: boolean) => flopsPerToken(V3_JOB.architecture, { sequence: 4096, mtp }).training / 1e9;
  const memory = memoryErrors();
  const memoryMedian = (name: string) =>
    median(memory.filter(({ row }) => row.family === name).map(({ error }) => Math.abs(error)));
  const bar = (what: string, text: string, value: number, most: number): Bar => ({
    what,
    bar: text,
    reached: percent(value, false),
    holds: value <= most,
  });
  return [
    bar(
      "DeepSeek-V3, FLOPs per token without and with MTP",
      "0.5 % of 249.7 and 260",
      Math.max(Math.abs(flops(false) / 249.7 - 1), Math.abs(flops(true) / 260 - 1)),
      0.005,
    ),
    bar("DeepSeek-V3, step of 19.926 s", "10 %", Math.abs(parts[0]!.error), 0.1),
    {
      what: "DeepSeek-V3, parts of the step",
      bar: "each within 10 %",
      reached:
        bad.length === 0 ? "all" : `not ${bad.map(({ name, error }) => `${name} (${percent(error)})`).join(", ")}`,
      holds: bad.length === 0,
    },
    {
      what: "DeepSeek-V3, 2.664 M GPU-hours inside the band",
      bar: "inside",
      reached: percent(hours.error),
      holds: hours.inside,
    },
    bar("Megatron-Core on H100, median", "8 %", errorOf(family("Megatron-Core H100")), 0.08),
    bar("Korthikanti, step times, median", "4 %", errorOf(family("Korthikanti 2022")), 0.04),
    bar("GPU-hours of whole runs, median", "10 %", errorOf(whole), 0.1),
    {
      what: "80 % bands, share of rows inside",
      bar: "75 to 85 %",
      reached: percent(board.coverage, false),
      holds: board.coverage >= 0.75 && board.coverage <= 0.85,
    },
    {
      what: "80 % bands, least share of a slice of ten rows or more",
      bar: "65 %",
      reached: percent(leastShare(board), false),
      holds: leastShare(board) > 0.65,
    },
    bar("Memory, Korthikanti, median", "5 %", memoryMedian("Korthikanti 2022"), 0.05),
    bar("Memory, torchtitan, median", "5 %", memoryMedian("torchtitan"), 0.05),
  ];
}

/** docs/accuracy.md: everything published, predicted beside measured, by constants that never saw the row's family. */
export function reportOf(board: Scoreboard, fitted: Constants): string {
  const counted = board.rows.filter(({ settled }) => !settled.row.apart);
  const whole = counted.filter(({ settled }) => settled.row.whole);
  const v3 = board.constants.get("DeepSeek-V3")!;
  const lines: string[] = [
    "# How right the planner is",
    "",
    "Written by `npm run accuracy`; do not edit. Every published figure of speed that we know with its layout or its hours, predicted and measured. **A row is predicted by constants fitted without",
    "any row of its family** (same authors, software and machines). Errors are predicted ÷ measured − 1 of the time of a step, or of GPU-hours, which is the same. How time is modelled:",
    "[decisions/042-time-model.md](decisions/042-time-model.md).",
    "",
    `The last ${board.rows.filter(({ settled }) => settled.row.later).length} rows came after the time model was made. Then ${LATER_THEN}; attention by its shape, the energy of later chips and the sorting of experts' rows`,
    "were put into the model with them in sight, and all constants fitted again. Rows that still nobody has seen will tell what that is worth.",
    "",
    "## Bands",
    "",
    "A band is 80 %: its width comes from the errors on all other families, by what is known of the row (below); whether it held is counted here. Aims: 75 to 85 % of all rows, over 65 % in each slice of ten rows or more.",
    "",
    ...table(
      ["rows", "", "inside", "share"],
      board.slices.map(({ name, rows, inside }) => [name, rows, inside, percent(inside / rows, false)]),
    ),
    "What the bands of new questions are made of: an error, as ln(measured ÷ predicted), is of a width whose square is the sum of the squares of what applies, and lies between the two last rows' multiples of it.",
    "",
    ...table(
      ["what", "width"],
      [
        ["all", board.bands.base.toFixed(3)],
        ...TRAITS.map((trait) => [TRAIT_NAMES[trait], board.bands[trait].toFixed(3)]),
        ["10th percentile, in widths", board.bands.low.toFixed(2)],
        ["90th percentile, in widths", board.bands.high.toFixed(2)],
      ],
    ),
    "## Bars",
    "",
    ...table(
      ["what", "bar", "reached", ""],
      barsOf(board).map((b) => [b.what, b.bar, b.reached, b.holds ? "holds" : "**missed**"]),
    ),
    "## By family",
    "",
    ...table(
      ["family", "rows", "median error", "mean, signed", "largest", "inside their band"],
      [...new Set(board.rows.map(({ settled }) => settled.row.family))].map((family) => {
        const rows = board.rows.filter(({ settled }) => settled.row.family === family),
          judged = rows.filter(({ settled }) => !settled.row.apart);
        const of = judged.length > 0 ? judged : rows;
        const largest = of.reduce((a, b) => (Math.abs(b.error) > Math.abs(a.error) ? b : a));
        return [
          judged.length > 0 ? family : `${family} (not counted)`,
          of.length,
          percent(errorOf(of), false),
          percent(of.reduce((a, { error }) => a + error, 0) / of.length),
          percent(largest.error),
          judged.length > 0 ? `${judged.filter(({ inside }) => inside).length} of ${judged.length}` : "–",
        ];
      }),
    ),
    `All ${counted.length} counted rows: median error ${percent(errorOf(counted), false)}.`,
    "",
    "## GPU-hours of whole runs, beside the baselines",
    "",
    ...table(
      ["run", "measured", "predicted", "error", "6ND at 40 %", "6ND at the reported MFU", "note"],
      whole.map((s) => {
        const { row } = s.settled;
        return [
          row.id,
          Math.round(row.gpuHours!).toLocaleString("en"),
          Math.round(row.gpuHours! * (1 + s.error)).toLocaleString("en"),
          percent(s.error),
          percent(sixNd(s, 0.4) / row.gpuHours! - 1),
          row.reportedMfu ? percent(sixNd(s, row.reportedMfu) / row.gpuHours! - 1) : "–",
          row.note ?? "",
        ];
      }),
    ),
    `Median error: planner ${percent(errorOf(whole), false)}; 6ND at 40 % ${percent(median(whole.map((s) => Math.abs(sixNd(s, 0.4) / s.settled.row.gpuHours! - 1))), false)}; 6ND at the reported MFU ` +
      `${percent(median(whole.filter(({ settled }) => settled.row.reportedMfu).map((s) => Math.abs(sixNd(s, s.settled.row.reportedMfu!) / s.settled.row.gpuHours! - 1))), false)} (${whole.filter(({ settled }) => settled.row.reportedMfu).length} runs that report one).`,
    "",
    "## DeepSeek-V3's step, taken apart",
    "",
    ...table(
      ["part", "published, s", "predicted, s", "error"],
      v3Parts(v3).map((p) => [p.name, p.published, p.predicted.toFixed(2), percent(p.error)]),
    ),
    ...pairLines(v3),
    "## Every row",
    "",
    ...table(
      ["row", "measured, s a step", "predicted, s", "error", "layout", "as published"],
      board.rows.map(({ settled: { row, layout }, seconds, error, inside }) => [
        row.apart ? `${row.id} (not counted: ${row.apart})` : row.id,
        row.stepSeconds.toPrecision(4),
        seconds.toPrecision(4),
        `${percent(error)}${row.apart || inside ? "" : " (outside its band)"}`,
        layoutText(layout),
        `${row.measured}${row.note ? `; ${row.note}` : ""}`,
      ]),
    ),
    "## Memory",
    "",
    ...table(
      ["family", "row", "counts", "measured, GB", "predicted, GB", "error"],
      memoryErrors().map(({ row, predictedBytes, error }) => [
        row.family,
        row.name,
        row.counts,
        (row.measuredBytes / 1e9).toFixed(1),
        (predictedBytes / 1e9).toFixed(1),
        percent(error),
      ]),
    ),
    "## The constants",
    "",
    `All that is fitted: ${CONSTANT_NAMES.length} numbers (memory has one more, its allocator's slack). The second column is the fit on all rows, which the planner uses; the third the range over fits that each leave one family out.`,
    "",
    ...table(
      ["constant", "value", "families left out", "bounds", "means"],
      CONSTANT_NAMES.map((name) => {
        const values = [...board.constants.values()].map((c) => c[name]);
        return [
          `\`${name}\``,
          size(fitted[name]),
          `${size(Math.min(...values))} – ${size(Math.max(...values))}`,
          `${size(BOUNDS[name].low)} – ${size(BOUNDS[name].high)}`,
          BOUNDS[name].meaning,
        ];
      }),
    ),
    "## Sources",
    "",
    ...[...new Map(ROWS.map(({ source }) => [`${source.title} ${source.mark}`, source])).values()].map(
      ({ title, date, mark, url }) => `- ${title} (${date}, ${mark})${url ? `: ${url}` : ""}`,
    ),
    "",
  ];
  return lines.join("\n");
}

/** The published profile of one pair against a stage of four layers, in balance. */
function pairLines(constants: Constants): string[] {
  const { stages } = stepDetails({ ...V3_JOB, imbalance: 1 }, V3_LAYOUT, constants);
  const pair = stages[Math.floor(stages.length / 2)]!.pair;
  return [
    `One pair of four layers in balance, without sends: ${(1e3 * pair).toFixed(0)} ms predicted, ${1e3 * V3_PAIR.seconds} ms in the published profile (${percent(pair / V3_PAIR.seconds - 1)}).`,
    "",
  ];
}
