/** What a run was given to learn from, said before it begins: what was read, what was not, and what looks wrong. */
import { type DataReport, describeLeftOut, type PreparedData } from "../data/index.ts";
import { bytes, count, plural } from "../format.ts";
import { type Phase, pretrainingSteps, type Recipe } from "../train/index.ts";

export interface Note {
  level: "info" | "warn";
  message: string;
}

/** More passes over the same text than this, and a model learns it by heart. */
const EPOCHS_MAX = 20;

/** Notes on a run's data and schedule, in the order in which they are to be read. */
export function describeRun(
  { dataset, report, disturbed }: PreparedData,
  recipe: Recipe,
  phases: readonly Phase[],
): Note[] {
  const train = dataset.tokens("train");
  const heldout = dataset.tokens("heldout");
  const tokens = phases.reduce((sum, phase) => sum + phase.tokens, 0);
  const epochs = tokens / train;
  const info = (message: string): Note => ({ level: "info", message });
  const warn = (message: string): Note => ({ level: "warn", message });
  const notes = [
    info(`read ${filesOf(report)} (${bytes(report.bytes)}): ${contentsOf(report)}`),
    info(
      `${plural(train, "token")} to train on, ${epochs < 1 ? `${(epochs * 100).toFixed(0)} % of them used` : `read ${epochs.toFixed(1)} times`}; ${plural(heldout, "token")} held out`,
    ),
  ];
  if (disturbed)
    notes.push(warn("the texts were written to while they were read; the run learns from what was read of them"));
  const left = describeLeftOut(report);
  if (left !== undefined) notes.push(warn(left));
  const ignored = Object.entries(report.ignored).sort((a, b) => b[1] - a[1]);
  if (ignored.length > 0) {
    const shown = ignored.slice(0, 8).map(([extension, n]) => `${count(n)} ${extension}`);
    const rest = ignored.slice(8).reduce((sum, [, n]) => sum + n, 0);
    notes.push(info(`ignored by their extension: ${shown.join(", ")}${rest > 0 ? `, ${count(rest)} others` : ""}`));
  }
  if (report.notFiles.length > 0) {
    const shown = report.notFiles.slice(0, 4).map(({ path, kind }) => `${path} (${kind})`);
    const rest = report.notFiles.length - shown.length;
    notes.push(warn(`left out, being no files: ${shown.join(", ")}${rest > 0 ? `, ${count(rest)} others` : ""}`));
  }
  const sequence = Math.min(...phases.map((phase) => phase.sequence));
  if (train < sequence)
    notes.push(
      warn(
        `the text has ${plural(train, "token")}, fewer than one sequence of ${sequence}: it is repeated inside every sequence, and learned by heart`,
      ),
    );
  else if (epochs > EPOCHS_MAX)
    notes.push(
      warn(
        `the text is read ${epochs.toFixed(0)} times; over ${EPOCHS_MAX} a model learns it by heart. Give more text, or --set tokens=${toTwoDigits(EPOCHS_MAX * train)}`,
      ),
    );
  if (heldout < 2)
    notes.push(warn("nothing is held out: no held-out loss will be shown. Give more text, or --set data.holdout=0.05"));
  const said = typeof recipe.model === "string" ? undefined : recipe.model["max_position_embeddings"];
  const longest = Math.max(...phases.map((phase) => phase.sequence));
  if (typeof said === "number" && said > longest)
    notes.push(
      warn(
        `model.max_position_embeddings is ${said}, but no sequence is longer than ${longest}: the model is saved with ${longest}. Longer sequences, or an extension, give it real length`,
      ),
    );
  const steps = pretrainingSteps(recipe);
  const { warmupSteps } = recipe.learningRate;
  if (warmupSteps >= steps)
    notes.push(
      warn(
        `the warm-up of ${warmupSteps} steps is not over when the ${steps} steps are: the learning rate ends at ${((100 * steps) / warmupSteps).toFixed(0)} % of its peak. Try --set learningRate.warmupSteps=${Math.floor(steps / 10)}`,
      ),
    );
  return notes;
}

/** 12,345 as 12000: a figure to type. */
const toTwoDigits = (n: number): number => Number(n.toPrecision(2));

function filesOf({ files }: DataReport): string {
  const named = {
    text: "text file",
    jsonl: "jsonl file",
    parquet: "parquet file",
    builtin: "built-in corpus",
  } as const;
  const kinds = Object.entries(named).filter(([kind]) => files[kind as keyof typeof named] > 0);
  return kinds
    .map(([kind, name]) =>
      plural(files[kind as keyof typeof named], name, name === "built-in corpus" ? "built-in corpora" : undefined),
    )
    .join(", ");
}

function contentsOf({ texts, conversations, heldout }: DataReport): string {
  const kinds = [
    ...(texts > 0 ? [plural(texts, "text")] : []),
    ...(conversations > 0 ? [plural(conversations, "conversation")] : []),
  ];
  return `${kinds.join(", ")}; ${count(heldout)} of them held out in whole or part`;
}
