/** What the training of a model came to: training.json beside its weights. */
import { join } from "node:path";
import { z } from "zod";
import { readRegularText } from "../checkpoint/index.ts";
import { SumbiError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { LineTail } from "./lineTail.ts";
import { parseRecord } from "./records.ts";
import { readRunInfo } from "./runInfo.ts";

const amount = z.number().nonnegative();
const trainingSchema = z.object({
  tokens: amount,
  seconds: amount,
  joules: amount,
  /** US dollars, at the prices of the recipes. */
  usd: amount,
  /** Runs, each of which began with the model of the one before. */
  stages: z.int().positive(),
  /** The processor of the last run. */
  machine: z.string().max(200).optional(),
});
export type Training = z.infer<typeof trainingSchema>;

const FILE = "training.json";
const BYTES_MAX = 64 << 10;

/** A model folder's account of its training; undefined where there is none, or none that can be read. */
export function readTraining(dir: string): Training | undefined {
  try {
    const text = readRegularText(join(dir, FILE), BYTES_MAX);
    return text === undefined ? undefined : trainingSchema.safeParse(parseJson(text)).data;
  } catch (error) {
    if (error instanceof SumbiError || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
    throw error;
  }
}

/** The file of a model that a run has trained for so many steps, by the run's ledger, and by the account of the model `from` which it began; none where the ledger has no figures. */
export async function trainingFile(
  run: { dir: string; id: string; from?: string },
  step: number,
): Promise<Record<string, string>> {
  let last: { tokens: number; seconds?: number | null; joules?: number | null; usd?: number | null } | undefined;
  await new LineTail(join(run.dir, "log.jsonl")).read((line) => {
    const record = line === undefined ? undefined : parseRecord(line);
    if (record?.type === "step" && record.step <= step) last = record;
  });
  const before = run.from === undefined ? undefined : readTraining(run.from);
  const { machine } = await readRunInfo(run.dir, run.id);
  const training = trainingSchema.safeParse({
    tokens: (last?.tokens ?? NaN) + (before?.tokens ?? 0),
    seconds: (last?.seconds ?? NaN) + (before?.seconds ?? 0),
    joules: (last?.joules ?? NaN) + (before?.joules ?? 0),
    usd: (last?.usd ?? NaN) + (before?.usd ?? 0),
    stages: 1 + (before?.stages ?? 0),
    machine: machine?.cpu,
  });
  return training.success ? { [FILE]: `${JSON.stringify(training.data, null, 2)}\n` } : {};
}
