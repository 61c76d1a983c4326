/** `sumbi runs`: training runs listed, shown and compared. */
import type { Command } from "commander";
import pc from "picocolors";
import { UsageError } from "../errors.ts";
import { bytes, dollars, parametersInWords, plural } from "../format.ts";
import { clearCache, exportRun, type RunInfo, RunReader, type RunSummary, type StepRecord } from "../runs/index.ts";
import { sparkline } from "./pinned.ts";
import { count, duration, shellCommand } from "./print.ts";
import { percent } from "./reasonView.ts";
import { describeRun, runInWords } from "./runShow.ts";
import { shortPath } from "./trainEnd.ts";

const COLORS: Record<RunSummary["status"], (text: string) => string> = {
  running: pc.cyan,
  done: pc.green,
  stopped: pc.yellow,
  failed: pc.red,
  stale: pc.dim,
  unreadable: pc.red,
};

/** `sumbi runs`: what was trained here; with ids, those side by side. */
export function register(program: Command): void {
  const runs = program.command("runs");
  runs
    .command("export")
    .description("write the model of a run's newest saved state as a Hugging Face folder, without training")
    .argument("<id>", "a run, as sumbi runs lists them")
    .option("--out <dir>", "folder for the model (default: the run's)")
    .option("--overwrite", "let the model replace one that Sumbi wrote into that folder before")
    .option("--runs <dir>", "where runs are kept (default: runs)")
    .option("--json", "one JSON object on stdout")
    .exitOverride()
    .action(async (id: string, _: object, command: Command) => {
      const options = command.optsWithGlobals<{ out?: string; overwrite?: boolean; runs: string; json?: boolean }>();
      const { model, step, skipped } = await exportRun(id, options);
      for (const reason of skipped)
        process.stderr.write(`${pc.yellow("warn")}: a newer state was passed over: ${reason}\n`);
      if (options.json) process.stdout.write(`${JSON.stringify({ model, step, run: id })}\n`);
      else
        process.stdout.write(
          `the model of step ${step} is in ${shortPath(model)}. Talk to it: ${shellCommand("chat", shortPath(model))}\n`,
        );
    });
  runs
    .command("show")
    .description("one run in detail: its quantities from first to last, what went wrong, answers early against late")
    .argument("<id>", "a run, as sumbi runs lists them")
    .option("--runs <dir>", "where runs are kept (default: runs)")
    .option("--json", "one JSON object on stdout")
    .exitOverride()
    .action(async (id: string, _: object, command: Command) => {
      const options = command.optsWithGlobals<{ runs: string; json?: boolean }>();
      const reader = new RunReader(options.runs);
      const [summary] = await chosenRuns(reader, [id]);
      if (summary === undefined) return;
      const shown = await describeRun(reader, summary);
      process.stdout.write(options.json ? `${JSON.stringify(shown)}\n` : runInWords(shown));
    });
  runs
    .command("clear-cache")
    .description("remove the tokens and tokenizers in the cache that no run here could be resumed with")
    .option("--runs <dir>", "where runs are kept (default: runs)")
    .option("--json", "one JSON object on stdout")
    .exitOverride()
    .action(async (_: object, command: Command) => {
      const options = command.optsWithGlobals<{ runs: string; json?: boolean }>();
      const cleared = await clearCache(options.runs);
      if (options.json) return void process.stdout.write(`${JSON.stringify(cleared)}\n`);
      const kept = [
        ...(cleared.needed > 0 ? [`${cleared.needed} that runs here need`] : []),
        ...(cleared.recent > 0 ? [`${cleared.recent} opened within the last hour`] : []),
      ];
      process.stdout.write(
        `removed ${plural(cleared.removed, "data set")} (${bytes(cleared.bytes)})${kept.length > 0 ? `; kept ${kept.join(" and ")}` : ""}\n`,
      );
    });
  runs
    .description("list the training runs here, or compare some of them")
    .argument("[ids...]", "runs to compare")
    .option("--runs <dir>", "where runs are kept", "runs")
    .option("--json", "one JSON value on stdout")
    .action(async (ids: string[], options: { runs: string; json?: boolean }) => {
      const reader = new RunReader(options.runs);
      const chosen = await chosenRuns(reader, ids);
      const compared = ids.length > 0 ? await Promise.all(chosen.map((run) => describe(reader, run))) : undefined;
      if (options.json) process.stdout.write(`${JSON.stringify(compared ?? chosen, null, 2)}\n`);
      else if (chosen.length === 0)
        process.stdout.write(`no runs in ${options.runs}; begin one with: npx sumbi train tiny\n`);
      else process.stdout.write(compared ? comparison(compared) : listing(chosen));
    });
}

/** Runs of these ids, or all. Throws UsageError for one that is not there. */
async function chosenRuns(reader: RunReader, ids: readonly string[]): Promise<RunSummary[]> {
  const all = await reader.list();
  for (const id of ids)
    if (!all.some((run) => run.id === id))
      throw new UsageError(
        `runs: no run ${id} in ${reader.runsDir}; there is ${all.map((run) => run.id).join(", ") || "none"}`,
      );
  return ids.length > 0 ? all.filter((run) => ids.includes(run.id)) : all;
}

interface Described extends RunSummary {
  settings: Record<string, string>;
  parameters: RunInfo["parameters"];
  losses: number[];
  rewards: number[];
  /** Tokens of an answer, of reinforcement. */
  length: number | null;
  joules: number;
  tokens: number;
  seconds: number;
  usd: number;
  busiest: number | null;
}

/** A run's figures, and its recipe flattened to dotted paths. */
async function describe(reader: RunReader, summary: RunSummary): Promise<Described> {
  const { run, log } = await reader.read(summary.id);
  const steps = log.filter((record): record is StepRecord => record.type === "step");
  const policies = log.filter((record) => record.type === "policy");
  const last = steps.at(-1);
  const load = log.findLast((record) => record.type === "load");
  return {
    ...summary,
    settings: flatten(run.recipe as Record<string, unknown>),
    parameters: run.parameters,
    losses: steps.map((step) => step.loss),
    rewards: policies.map((policy) => policy.reward),
    length: policies.at(-1)?.length ?? null,
    joules: last?.joules ?? 0,
    tokens: last?.tokens ?? 0,
    seconds: last?.seconds ?? 0,
    usd: last?.usd ?? 0,
    busiest: load?.type === "load" ? load.busiest : null,
  };
}

function flatten(value: Record<string, unknown>, at = ""): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.entries(flatten(inner as Record<string, unknown>, `${at}${key}.`))
        : [[`${at}${key}`, typeof inner === "string" ? inner : JSON.stringify(inner)] as const],
    ),
  );
}

const fixed = (value: number | null, digits: number): string => (value === null ? "–" : value.toFixed(digits));

function listing(runs: readonly RunSummary[]): string {
  const width = Math.max(...runs.map((run) => run.id.length));
  const rows = runs.map((run) => {
    if (run.status === "unreadable") return `${run.id.padEnd(width)}  ${COLORS.unreadable(run.status)}  ${run.problem}`;
    const eta = run.status === "running" && run.etaSeconds !== null ? `  ${duration(run.etaSeconds)} left` : "";
    return `${run.id.padEnd(width)}  ${COLORS[run.status](run.status.padEnd(7))}  step ${`${run.step}/${run.steps}`.padEnd(11)}  ${comeTo(run)}${eta}${run.skippedLines > 0 ? `  ${run.skippedLines} lines of its log cannot be read` : ""}`;
  });
  return `${rows.join("\n")}\n`;
}

/** What a run has come to: its loss, or its reward and tests. */
const comeTo = ({ loss, evalLoss, reward, score }: RunSummary): string =>
  reward === null && score === null
    ? `loss ${fixed(loss, 4)}  held-out ${fixed(evalLoss, 4)}`
    : `reward ${fixed(reward, 4)}  tests ${percent(score ?? undefined)}`;

/** One column a run; of the recipe only what differs. */
function comparison(runs: readonly Described[]): string {
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run.settings)))];
  const differing = keys.filter((key) => new Set(runs.map((run) => run.settings[key])).size > 1);
  const rows: [string, string[]][] = [
    ["run", runs.map((run) => run.id)],
    ["model", runs.map((run) => (run.parameters ? parametersInWords(run.parameters) : "–"))],
    ["status", runs.map((run) => run.status)],
    ["steps", runs.map((run) => `${run.step}/${run.steps}`)],
    ["tokens", runs.map((run) => count(run.tokens))],
    ...(runs.some(({ reward, score }) => reward !== null || score !== null)
      ? ([
          ["reward", runs.map((run) => fixed(run.reward, 4))],
          ["tests", runs.map((run) => percent(run.score ?? undefined))],
          ["length", runs.map((run) => fixed(run.length, 1))],
        ] as [string, string[]][])
      : []),
    ["loss", runs.map((run) => fixed(run.loss, 4))],
    ["held-out", runs.map((run) => fixed(run.evalLoss, 4))],
    ["curve", runs.map((run) => sparkline(run.rewards.length > 0 ? run.rewards : run.losses, 24))],
    ["busiest", runs.map((run) => (run.busiest === null ? "–" : `${run.busiest.toFixed(2)}×`))],
    ["tokens/s", runs.map((run) => fixed(run.tokensPerSecond, 0))],
    ["time", runs.map((run) => duration(run.seconds))],
    ["energy", runs.map((run) => `${(run.joules / 3.6e6).toFixed(4)} kWh`)],
    ["cost", runs.map((run) => dollars(run.usd))],
    ...differing.map((key) => [key, runs.map((run) => run.settings[key] ?? "–")] as [string, string[]]),
  ];
  const nameWidth = Math.max(...rows.map(([name]) => name.length));
  const widths = runs.map((_, i) => Math.max(...rows.map(([, cells]) => cells[i]!.length)));
  return `${rows.map(([name, cells]) => `${pc.dim(name.padEnd(nameWidth))}  ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join("  ")}`).join("\n")}\n`;
}
