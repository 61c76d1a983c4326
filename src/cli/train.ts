/** `sumbi train`: parses the options of a training run, starts it and shows how it goes. */
import type { Command } from "commander";
import pc from "picocolors";
import { UsageError } from "../errors.ts";
import { parametersInWords } from "../format.ts";
import {
  type Outcome,
  type StartedRun,
  TrainError,
  type TrainOptions,
  type TrainRequest,
  train,
} from "../runs/index.ts";
import type { RunningServer } from "../serve/index.ts";
import { livePage } from "./livePage.ts";
import { count, progressLine } from "./print.ts";
import { portNumber } from "./quantities.ts";
import { listenForStop } from "./stop.ts";
import { describeEnd, shortPath } from "./trainEnd.ts";
import { TrainView } from "./trainView.ts";

interface Flags extends TrainOptions {
  json?: boolean;
  web: boolean;
  port: number;
}

/** `sumbi train RECIPE`. */
export function register(program: Command): void {
  program
    .command("train")
    .description("train a model by a recipe: pretrain on text, save it as a Hugging Face folder")
    .argument("<recipe>", "a recipe file (JSON with comments), or the name of one that comes with Sumbi")
    .option("--data <path...>", "files, folders, globs or builtin: texts to train on, instead of the recipe's")
    .option(
      "--out <dir>",
      "folder for the trained model (default models/<recipe's name>, with a number when that is taken)",
    )
    .option(
      "--overwrite",
      "let the model replace one that Sumbi wrote into that folder before; nobody else's files are ever touched",
    )
    .option("--set <key=value...>", "change a recipe value: --set learningRate.stages.0.from=0.001 tokens=2e6")
    .option(
      "--resume [run]",
      "go on with the newest run of this recipe, or with a run by its id; --set may change how it goes on",
    )
    .option("--resume-from <step>", "go on from the saved state of this step instead of the newest", stepOf)
    .option("--runs <dir>", "where runs are kept", "runs")
    .option("--no-web", "do not serve the live page")
    .option("--port <n>", "port of the live page (the next free one is taken)", (text) => portNumber(text), 8090)
    .option("--json", "log records on stdout, one JSON object a line")
    .action(async (recipe: string, flags: Flags) => {
      const line = progressLine();
      let saying = earlier(flags);
      const stop = listenForStop(() => saying);
      let server: RunningServer | undefined;
      let view = new TrainView(recipe, undefined);
      const put = (record: unknown) => flags.json && process.stdout.write(`${JSON.stringify(record)}\n`);
      const settle = async ({ id, recipe: { name, tokens }, parameters, notes, out }: StartedRun): Promise<void> => {
        line.end();
        if (flags.web) server = await livePage(flags);
        const web = server && `${server.url}/runs/${id}`;
        view = new TrainView(name, web);
        view.note(
          `${pc.bold(id)}: ${parametersInWords(parameters)}; ${count(tokens)} tokens${web ? `, live at ${web}` : ""}`,
        );
        for (const { level, message } of notes) if (level === "info") view.note(message);
        view.note(pc.dim(`the model will be in ${shortPath(out)}`));
        saying = "saving, then ending (Ctrl-C again ends at once, losing the steps since the last save)";
      };
      try {
        const outcome = await outcomeOf({
          ...flags,
          recipe,
          signal: stop.signal,
          onProgress: line,
          onStart: settle,
          onStep(record) {
            put(record);
            view.step(record);
          },
          onRecord(record) {
            put(record);
            if (record.type === "eval") view.evaluated(record.loss);
            if (record.type === "load") view.load(record.busiest);
            // An error is said at the end.
            if (record.type === "event" && record.level === "warn")
              view.note(`${pc.yellow(record.level)}: ${record.message}`);
          },
          onExport() {
            saying =
              "the training is done and the model is being written; ending after that (Ctrl-C again ends at once)";
          },
        });
        view.end();
        const { lines, exitCode } = describeEnd(outcome, { recipe, runs: flags.runs, id: outcome.id });
        process.stderr.write(`${lines.join("\n")}\n`);
        process.exitCode = exitCode;
      } finally {
        line.end();
        await server?.close();
        stop.end();
      }
    });
}

/** How a training ended, well or not. */
async function outcomeOf(request: TrainRequest): Promise<Outcome & { id: string }> {
  try {
    return await train(request);
  } catch (error) {
    if (error instanceof TrainError) return { id: error.id, ...error.outcome };
    throw error;
  }
}

function stepOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--resume-from: expected a step number, got ${text}`);
  return Number(text);
}

/** What a Ctrl-C before the first step means. */
const earlier = ({ resume, resumeFrom }: Flags): string =>
  resume || resumeFrom !== undefined
    ? "ending; nothing has been trained since the last save"
    : "ending; nothing has been trained yet, so there is nothing to save";
