/** What all stages of `sumbi reason` share on the command line: their options, and how a run is watched to its end. */
import type { Command } from "commander";
import pc from "picocolors";
import { isAdapter } from "../checkpoint/index.ts";
import type { StageRequest, StageResult, StageStart } from "../reason/index.ts";
import type { RunningServer } from "../serve/index.ts";
import { livePage } from "./livePage.ts";
import { progressLine, shellCommand } from "./print.ts";
import { portNumber } from "./quantities.ts";
import { ReasonView } from "./reasonView.ts";
import { listenForStop } from "./stop.ts";
import { shortPath } from "./trainEnd.ts";

export interface StageFlags {
  model?: string;
  out?: string;
  overwrite?: boolean;
  set?: string[];
  runs: string;
  resume?: string;
  web: boolean;
  port: number;
  json?: boolean;
}

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
    .option("--no-web", "do not serve the live page")
    .option("--port <n>", "port of the live page (the next free one is taken)", (text) => portNumber(text), 8090)
    .option("--json", "log records on stdout, one JSON object a line");

/** A stage's model as the other verbs take it; an adapter by the model that it stands beside. */
export const stageModel = (model: string, flags: { model?: string }): string[] =>
  isAdapter(model) ? [flags.model ?? "MODEL", "--adapter", model] : [model];

/** What a stage's run is watched with. */
export interface StageWatch extends Pick<StageRequest, "signal" | "onProgress" | "onRecord"> {
  /** Told when the first step is about to be made; `lines` are said before. */
  started(run: StageStart, lines: readonly string[]): void;
}

/** Runs a stage to its end or to Ctrl-C and says where the model is; `next` is what one does then. */
export async function watchStage(
  stage: string,
  flags: StageFlags,
  run: (watch: StageWatch) => Promise<StageResult>,
  next: (model: string) => string,
): Promise<void> {
  const line = progressLine();
  let saying = "ending; nothing has been learned yet";
  const stop = listenForStop(() => saying);
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  let server: RunningServer | undefined;
  let view = new ReasonView(stage, undefined);
  try {
    if (flags.web) server = await livePage(flags);
    const result = await run({
      signal: stop.signal,
      onProgress: line,
      started({ id, out, steps }, lines) {
        line.end();
        saying = "saving, then ending (Ctrl-C again ends at once, losing the steps since the last save)";
        const web = server && `${server.url}/runs/${id}`;
        view = new ReasonView(id, web);
        for (const text of lines) say(text);
        say(`${pc.bold(id)}: ${steps} steps${web ? `, live at ${web}` : ""}; the model will be in ${shortPath(out)}`);
      },
      onRecord(record) {
        if (flags.json) process.stdout.write(`${JSON.stringify(record)}\n`);
        view.see(record);
      },
    });
    view.end();
    if (result.reason === "done") {
      const model = shortPath(result.model ?? "");
      say(`done: the model is in ${model}. ${next(model)}`);
    } else {
      const where = flags.runs === "runs" ? [] : ["--runs", flags.runs];
      say(`stopped at step ${result.step}; go on: ${shellCommand("reason", stage, "--resume", result.id, ...where)}`);
      if (result.adapts) say("no adapter was written: that is done at the end");
      else if (result.step > 0)
        say(`no model was written; the one of now: ${shellCommand("runs", "export", result.id, ...where)}`);
      process.exitCode = 130;
    }
  } finally {
    line.end();
    await server?.close();
    stop.end();
  }
}
