/** The planner's answers drawn for a terminal. */
import pc from "picocolors";
import { inUnits } from "../format.ts";
import {
  type Chip,
  type Currency,
  fromUsd,
  layoutText,
  type MemoryBytes,
  type Owned,
  type PhasesResult,
  type PlanResult,
  type Serving,
  type Source,
  type StepEstimate,
} from "../plan/index.ts";
import { bytes } from "./print.ts";

/** `2.66M`, `14.8T`: three figures. */
export function short(n: number, figures = 3): string {
  if (!Number.isFinite(n)) return n > 0 ? "∞" : "–";
  const large = inUnits(n, (value) => plain(value, figures), 1e4);
  return large ?? (Math.abs(n) >= 1000 ? Math.round(n).toLocaleString("en-US") : plain(n, figures));
}

const plain = (n: number, figures: number): string => {
  const digits = Math.max(0, figures - 1 - Math.floor(Math.log10(Math.abs(n) || 1)));
  return n.toFixed(Math.min(digits, 6));
};

const SYMBOL: Record<Currency, string> = { USD: "$", RMB: "RMB ", KRW: "KRW " };
export const money = (usd: number, currency: Currency = "USD"): string =>
  Number.isFinite(usd) ? `${SYMBOL[currency]}${short(fromUsd(usd, currency))}` : "–";
export const percent = (share: number, digits = 1): string => `${(share * 100).toFixed(digits)} %`;

/** A bar of `width` cells in eighths. */
export function bar(value: number, most: number, width = 28): string {
  const eighths = Math.max(0, Math.min(width * 8, Math.round((value / most) * width * 8)));
  const full = "█".repeat(Math.floor(eighths / 8));
  return (full + " ▏▎▍▌▋▊▉"[eighths % 8]!.trim()).padEnd(width);
}

const PARTS: Record<keyof StepEstimate["parts"], string> = {
  compute: "products, attention",
  memoryBound: "memory-bound",
  tp: "tensor parallelism",
  ep: "experts, exposed",
  cp: "context parallelism",
  pp: "pipeline sends",
  dp: "gradients, weights",
  bubble: "bubble",
  optimizer: "optimizer",
  overhead: "launches",
};
const MEMORY: Record<Exclude<keyof MemoryBytes, "total">, string> = {
  weights: "weights",
  gradients: "gradients",
  optimizer: "optimizer",
  activations: "activations",
  buffers: "buffers, slack",
};

const row = (label: string, text: string): string => `  ${label.padEnd(20)}${text}`;
const head = (text: string): string => `\n${pc.bold(text)}`;

export interface PlanExtras {
  currency: Currency;
  chip: Chip;
  owned?: Owned;
  phases?: PhasesResult;
  serving?: Serving;
}

/** GPUs that the best layout has no use for, which cost as much as the others. */
function idle({ gpus, layout: { dp, tp, cp, pp } }: PlanResult): string[] {
  const used = dp * tp * cp * pp;
  const figures = (n: number) => n.toLocaleString("en-US");
  return used === gpus
    ? []
    : [
        row(
          "idle",
          `${figures(gpus - used)} of ${figures(gpus)} GPUs, paid for all the same: ${figures(used)} do as much`,
        ),
      ];
}

/** The answer as a screen: what it costs, how it is laid out, where the time and the memory go, what else was considered, on whose word. */
export function drawPlan(plan: PlanResult, extras: PlanExtras): string {
  const { currency, chip } = extras;
  const cash = (usd: number) => money(usd, currency);
  const lines: string[] = [
    pc.bold(
      `${plan.model}, ${short(plan.tokens)} tokens on ${plan.gpus.toLocaleString("en-US")} × ${chip.name}: ${short(plan.gpuHours)} GPU-hours, ${short(plan.days)} days, ${cash(plan.usd)}`,
    ),
    ...idle(plan),
    row("GPU-hours", `${short(plan.gpuHours)}, 80 %: ${short(plan.p10.gpuHours)} to ${short(plan.p90.gpuHours)}`),
    row("days", `${short(plan.days)}, 80 %: ${short(plan.p10.days)} to ${short(plan.p90.days)}`),
    row(
      "final run",
      `${cash(plan.usd)}, 80 %: ${cash(plan.p10.usd)} to ${cash(plan.p90.usd)}, at ${money(plan.usdPerGpuHour!, currency)} a GPU-hour`,
    ),
    row("best steady state", bestSteady(plan, cash)),
    row("time that counts", timeThatCounts(plan)),
    ...wrap(plan.restsOn, 96).map((text, i) => row(i === 0 ? "what ranges are" : "", text)),
    row(
      "whole programme",
      `${cash(plan.programme!.low)} to ${cash(plan.programme!.high)}: experiments and failed runs make it ${short(plan.programme!.multiple.low, 2)} to ${short(plan.programme!.multiple.high, 2)} final runs`,
    ),
  ];
  if (extras.owned) lines.push(...drawOwned(extras.owned, currency));
  const { energy } = plan;
  lines.push(
    row(
      "electricity",
      `${short(energy!.kwh / 1e6)} GWh, ${short(energy!.co2Tonnes)} t of CO2 on the mean grid of ${energy!.country}`,
    ),
  );

  lines.push(head(`layout: ${layoutText(plan.layout)}`));
  lines.push(
    row(
      "schedule",
      `${plan.layout.pp > 1 ? plan.schedule : "none"}, ${plan.microBatches} micro-batches a step, ${plan.precision}`,
    ),
  );
  lines.push(
    row(
      "batch",
      `${plan.batch!.toLocaleString("en-US")} sequences of ${plan.sequence!.toLocaleString("en-US")}, ${plan.steps.toLocaleString("en-US")} steps`,
    ),
  );
  lines.push(
    row(
      "speed",
      `${short(plan.tokensPerSecondPerGpu, 4)} tokens/s a GPU, ${percent(plan.mfu)} of the BF16 peak, ${short(plan.flopsPerToken / 1e9, 4)} GFLOP a token`,
    ),
  );

  lines.push(head(`step: ${short(plan.stepSeconds, 4)} s`));
  for (const [part, name] of Object.entries(PARTS) as [keyof StepEstimate["parts"], string][]) {
    const seconds = plan.parts[part];
    if (seconds > 0.0005 * plan.stepSeconds)
      lines.push(
        row(
          name,
          `${bar(seconds, plan.stepSeconds)} ${seconds.toFixed(2).padStart(7)} s ${percent(seconds / plan.stepSeconds).padStart(7)}`,
        ),
      );
  }

  lines.push(head(`memory: ${bytes(plan.memoryBytes.total)} of ${bytes(chip.hbmBytes)} on the fullest GPU`));
  for (const [part, name] of Object.entries(MEMORY) as [Exclude<keyof MemoryBytes, "total">, string][])
    lines.push(row(name, `${bar(plan.memoryBytes[part], chip.hbmBytes)} ${bytes(plan.memoryBytes[part]).padStart(9)}`));

  if (plan.runnersUp.length > 0) {
    lines.push(head("why not another layout"));
    for (const { slower, why, step } of plan.runnersUp.slice(0, 6))
      lines.push(
        ...wrap(why, 108).map(
          (text, i) =>
            `  ${i === 0 ? (step.fits ? `+${(slower * 100).toFixed(1)} %` : "no room").padEnd(9) : " ".repeat(9)}${text}`,
        ),
      );
  }
  if (extras.phases) lines.push(drawPhases(extras.phases, currency).trimEnd());
  if (extras.serving) lines.push(drawServing(extras.serving, currency).trimEnd());
  return `${lines.join("\n")}\n${drawWarnings(plan.warnings)}${drawSources(plan.sources)}`;
}

/** What the run would take if failures and checkpoints alone cost time. */
function bestSteady({ bestSteady }: PlanResult, cash: (usd: number) => string): string {
  const { gpuHours, days, usd, p10, p90 } = bestSteady!;
  return `${short(gpuHours)} GPU-hours (80 %: ${short(p10.gpuHours)} to ${short(p90.gpuHours)}), ${short(days)} days, ${cash(usd)}`;
}

function timeThatCounts({ goodput, goodputIs, failures, bestSteady }: PlanResult): string {
  const { mtbfHours, intervalSeconds } = failures!;
  const reckoned = `a failure every ${short(mtbfHours)} h and a checkpoint every ${short(intervalSeconds / 60)} min leave ${percent(bestSteady!.share)}`;
  return `${percent(goodput)}, ${goodputIs}; ${reckoned}`;
}

function drawOwned(owned: Owned, currency: Currency): string[] {
  const cash = (usd: number) => money(usd, currency);
  const { chips, servers, network, electricity, staff } = owned.parts;
  return [
    row(
      "on own machines",
      `${cash(owned.usd)}, ${money(owned.usdPerGpuHour, currency)} a GPU-hour; the machines cost ${cash(owned.capitalUsd)} to buy`,
    ),
    row(
      "",
      `chips ${cash(chips)}, servers ${cash(servers)}, network ${cash(network)}, electricity ${cash(electricity)}, operators ${cash(staff)}`,
    ),
  ];
}

/** A table of phases with its sums, and what each rests on. */
export function drawPhases({ phases, gpuHours, usd, p10, p90, restsOn }: PhasesResult, currency: Currency): string {
  const lines = [
    head(
      `phases: ${short(gpuHours)} GPU-hours, ${money(usd, currency)} (${short(p10.gpuHours)} to ${short(p90.gpuHours)} GPU-hours)`,
    ),
  ];
  for (const phase of phases) {
    lines.push(
      `  ${phase.name.padEnd(28)}${short(phase.gpuHours).padStart(8)} h ${short(phase.days).padStart(7)} d ${money(phase.usd, currency).padStart(9)}`,
    );
    lines.push(...wrap(phase.says, 104).map((text) => pc.dim(`    ${text}`)));
  }
  lines.push(...wrap(restsOn, 106).map((text) => `  ${text}`));
  return `${lines.join("\n")}\n`;
}

function drawServing(serving: Serving, currency: Currency): string {
  const { prefill, decode } = serving;
  const price = (usd: number | undefined) => (usd === undefined ? "" : `, ${money(usd, currency)} a million`);
  const unit = ({ gpus, tp, ep }: Serving["decode"]["unit"]) =>
    [`${gpus} GPUs`, tp > 1 && `tp ${tp}`, ep > 1 && `ep ${ep}`].filter(Boolean).join(" · ");
  return `${[
    head("serving, at full load"),
    row(
      "prefill",
      `${short(prefill.tokensPerSecondPerGpu)} tokens/s a GPU${price(serving.usdPerMillionInput)} (${unit(prefill.unit)})`,
    ),
    row(
      "decode",
      `${short(decode.tokensPerSecondPerGpu)} tokens/s a GPU${price(serving.usdPerMillionOutput)} (${unit(decode.unit)})`,
    ),
    row(
      "a user sees",
      `${short(decode.tokensPerSecondPerUser)} tokens/s; ${short(decode.sequencesPerGpu)} sequences a GPU, memory allows ${short(decode.mostSequencesPerGpu)}${decode.tokensPerPass > 1 ? `; ${decode.tokensPerPass.toFixed(2)} tokens a pass by speculation` : ""}`,
    ),
    row(
      "memory",
      `weights ${bytes(serving.weightBytesPerGpu)} a GPU, cache ${bytes(serving.cacheBytesPerToken)} a token, ${bytes(serving.cacheBytesPerSequence)} a sequence`,
    ),
  ].join("\n")}\n`;
}

export const drawWarnings = (warnings: string[]): string =>
  warnings.length === 0
    ? ""
    : `${head("mind")}\n${warnings.flatMap((w) => wrap(w, 114).map((text, i) => `  ${i === 0 ? "" : "  "}${text}`)).join("\n")}\n`;

/** Numbered, each with date and mark. */
export const drawSources = (sources: Source[]): string =>
  `${head("sources")}\n${sources.map(({ title, date, mark }) => pc.dim(`  ${date}, ${mark}: ${title}`)).join("\n")}\n`;

/** Text in lines of at most `width`. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}
