/** The worker thread that prepares one unit of data after the other. */
import { parentPort, workerData } from "node:worker_threads";
import { SumbiError } from "../errors.ts";
import { prepareUnit, type UnitJob, type UnitResult } from "./prepareUnit.ts";
import { loadTokenizer } from "./tokenizerFolder.ts";

/** Thread of prepareData: takes a job, answers with its result, until told to end. */
export type FromWorker = { bytes: number } | { result: UnitResult } | { error: string; expected: boolean };

const tokenizer = loadTokenizer((workerData as { tokenizerDir: string }).tokenizerDir);
const port = parentPort!;
port.on("message", (job: UnitJob | null) => {
  if (job === null) {
    port.close();
    return;
  }
  prepareUnit(job, tokenizer, (bytes) => port.postMessage({ bytes } satisfies FromWorker)).then(
    (result) => port.postMessage({ result } satisfies FromWorker),
    (error: Error) =>
      port.postMessage({ error: error.message, expected: error instanceof SumbiError } satisfies FromWorker),
  );
});
