/** What chains of stages print alike: which stage it is, what was sampled, a run's view, and how it ended. */
import pc from "picocolors";
import { progressLine, shellCommand } from "./print.ts";
import { ReasonView } from "./reasonView.ts";
import { listenForStop } from "./stop.ts";
import { shortPath } from "./trainEnd.ts";

/** A line of its own on stderr. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);

interface Sampled {
  kept: number;
  answers: number;
  problems: number;
  rightShare: number;
}

type Seen = Parameters<ReasonView["see"]>[0];

/** The hooks of a chain, on a terminal. */
export interface ChainWatch<S extends string> {
  signal: AbortSignal;
  onProgress: ReturnType<typeof progressLine>;
  onStage(stage: S): void;
  onSample(sampled: Sampled): void;
  onRecord(record: Seen): void;
  /** Begins the view of a stage's run; `told` is said first. */
  begin(id: string, told: string): void;
}

interface Ended {
  reason: "done" | "stopped";
  stage?: string;
  model?: string;
}

/** Runs a chain of `stages` under these hooks; says how it ended, how to measure its model (`measure`, after `evaluate`), or that the same command goes on. */
export async function watchChain<S extends string, R extends Ended>(
  { stages, names, out, json }: { stages: readonly S[]; names: Record<S, string>; out: string; json?: boolean },
  run: (watch: ChainWatch<S>) => Promise<R>,
  measure: (model: string) => string[],
  onEnd?: (result: R) => void,
): Promise<void> {
  const line = progressLine();
  const stop = listenForStop(() => "saving, then ending; the same command goes on");
  let view: ReasonView | undefined;
  try {
    const result = await run({
      signal: stop.signal,
      onProgress: line,
      onStage(stage) {
        view?.end();
        view = undefined;
        say(pc.bold(`${stages.indexOf(stage) + 1}/${stages.length} ${names[stage]}`));
      },
      onSample({ kept, answers, problems, rightShare }) {
        line.end();
        say(
          `${kept} right answers kept of ${answers} to ${problems} problems; ${Math.round(100 * rightShare)} % were right`,
        );
      },
      onRecord(record) {
        if (json) process.stdout.write(`${JSON.stringify(record)}\n`);
        view?.see(record);
      },
      begin(id, told) {
        line.end();
        view = new ReasonView(id, undefined);
        say(told);
      },
    });
    view?.end();
    onEnd?.(result);
    const model = shortPath(result.model ?? out);
    if (result.reason === "done")
      say(`done: the model is in ${model}. Measure it: ${shellCommand("evaluate", ...measure(model))}`);
    else {
      say(`stopped in stage ${result.stage}; the same command goes on`);
      process.exitCode = 130;
    }
  } finally {
    line.end();
    stop.end();
  }
}
