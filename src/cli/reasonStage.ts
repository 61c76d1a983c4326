/** What all stages of `sumbi reason` share on the command line: their options, and how a run is watched to its end. */
import type { Command } from "commander";
import pc from "picocolors";
import type { StageRequest, StageResult, StageStart } from "../reason/index.ts";
import type { RunRecord } from "../runs/index.ts";
import { progressLine, shellCommand } from "./print.ts";
import { listenForStop } from "./stop.ts";
import { shortPath } from "./trainEnd.ts";

export interface StageFlags {
  model?: string;
  out?: string;
  overwrite?: boolean;
  set?: string[];
  runs: string;
  resume?: string;
  json?: boolean;
}

export const percent = (share: number | undefined): string =>
  share === undefined ? "–" : `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

/** A command with the options of every stage; `example` are settings for its --set. */
export const stageCommand = (reason: Command, stage: string, description: string, example: string): Command =>
  reason
    .command(stage)
    .description(description)
    .option("--model <dir>", "the model to begin with")
    .option("--out <dir>", `folder for the model (default models/${stage}-TASK, with a number when that is taken)`)
    .option("--overwrite", "let the model replace one that Sumbi wrote into that folder before")
    .option("--set <key=value...>", `change a value: --set ${example}`)
    .option("--runs <dir>", "where runs are kept", "runs")
    .option("--resume <run>", "go on with a run by its id, exactly as if it had not been interrupted")
    .option("--json", "log records on stdout, one JSON object a line");

/** What a stage's run is watched with. */
export interface StageWatch extends Pick<StageRequest, "signal" | "onProgress" | "onRecord"> {
  /** Told when the first step is about to be made; `lines` are said before. */
  started(run: StageStart, lines: readonly string[]): void;
  say(text: string): void;
}

/** Runs a stage to its end or to Ctrl-C and says where the model is; `next` is what one does then. */
export async function watchStage(
  stage: string,
  { json }: StageFlags,
  run: (watch: StageWatch) => Promise<StageResult>,
  next: (model: string) => string,
): Promise<void> {
  const line = progressLine();
  let saying = "ending; nothing has been learned yet";
  const stop = listenForStop(() => saying);
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  try {
    const result = await run({
      signal: stop.signal,
      onProgress: line,
      say,
      started({ id, out, steps }, lines) {
        line.end();
        saying = "saving, then ending (Ctrl-C again ends at once, losing the steps since the last save)";
        for (const text of lines) say(text);
        say(`${pc.bold(id)}: ${steps} steps; the model will be in ${shortPath(out)}`);
      },
      onRecord(record) {
        if (json) process.stdout.write(`${JSON.stringify(record)}\n`);
        tellOf(record, say);
      },
    });
    if (result.reason === "done") {
      const model = shortPath(result.model ?? "");
      say(`done: the model is in ${model}. ${next(model)}`);
    } else {
      say(`stopped at step ${result.step}; go on: ${shellCommand("reason", stage, "--resume", result.id)}`);
      process.exitCode = 130;
    }
  } finally {
    line.end();
    stop.end();
  }
}

function tellOf(record: RunRecord, say: (text: string) => void): void {
  if (record.type === "score")
    say(
      `${pc.bold(`test after ${record.step} steps: ${percent(record.right)} right`)} of ${record.problems}, greedily; length ${record.length.toFixed(1)}, thinks ${percent(record.longShare)}`,
    );
  if (record.type === "eval") say(pc.bold(`after ${record.step} steps: validation loss ${record.loss.toFixed(4)}`));
  if (record.type === "event" && record.level === "warn" && !record.message.startsWith("gate:"))
    say(`${pc.yellow("warn")}: ${record.message}`);
}
