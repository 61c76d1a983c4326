/** How a training ended, for people: what there is, what is lost, and the commands that go on from there. */
import { relative } from "node:path";
import pc from "picocolors";
import type { Outcome } from "../runs/index.ts";
import { shellCommand } from "./print.ts";

export interface Ended {
  /** As given on the command line. */
  recipe: string;
  runs: string;
  id: string;
}

/** A path as short as it is clear: below this folder relative, elsewhere absolute. */
export function shortPath(path: string): string {
  const way = relative("", path);
  return way === "" || way.startsWith("..") ? path : way;
}

const steps = (from: number, to: number): string => (from === to ? `step ${to}` : `steps ${from} to ${to}`);

/** The lines to print and the status to exit with: 0 finished, 130 stopped, 1 failed. */
export function describeEnd(
  { reason, step, allSteps, saved, model, faults }: Outcome,
  { recipe, runs, id }: Ended,
): { lines: string[]; exitCode: number } {
  const where = runs === "runs" ? [] : ["--runs", runs];
  const resume = shellCommand("train", recipe, "--resume", id, ...where);
  const exporting = shellCommand("runs", "export", id, ...where);
  const unsaved =
    saved === step
      ? []
      : [
          `${pc.yellow("warn")}: the last state could not be saved, so nothing can go on from step ${step} but the model itself`,
        ];
  if (reason === "done" && model !== undefined)
    return {
      exitCode: 0,
      lines: [
        ...unsaved,
        `${pc.green("done")}: the model is in ${shortPath(model)}. Talk to it: ${shellCommand("chat", shortPath(model))}`,
      ],
    };
  if (reason === "stopped") {
    const lines = [`stopped; go on with: ${resume}`];
    if (step > 0) lines.push(`no model was written; the one of step ${saved ?? step}: ${exporting}`);
    return { exitCode: 130, lines };
  }
  const lines = faults.map((fault) => `${pc.red("error")}: ${fault}`);
  if (model !== undefined) lines.push(`the model of step ${step} is whole in ${shortPath(model)}`);
  const lost = (from: number) => `lost: ${steps(from, step)}${model === undefined ? "" : ", but for the model"}`;
  if (allSteps && saved === step)
    lines.push(
      `nothing is lost, the state of step ${step} is kept. Write the model elsewhere: ${exporting} --out DIR`,
      `or: ${resume} --out DIR`,
    );
  else if (saved === undefined) lines.push(...(step > 0 ? [`${lost(1)}; no state is kept`] : []));
  else
    lines.push(
      `${step > saved ? `${lost(saved + 1)}; the` : "the"} state of step ${saved} is kept. Go on with: ${resume}`,
    );
  return { exitCode: 1, lines };
}
