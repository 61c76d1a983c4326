/** The thread of a block store: reads at once, writes when nobody wants to read. */
import { parentPort, workerData } from "node:worker_threads";
import { isDiskFault } from "./atomic.ts";
import { BlockFolder } from "./blockFolder.ts";

/** Where a block stands in its prompt comes with its key. */
export interface PlacedKey {
  key: string;
  depth: number;
}

export type BlockJob =
  | { job: "read"; number: number; keys: PlacedKey[]; length: number }
  | ({ job: "write"; bytes: Uint8Array<ArrayBuffer> } & PlacedKey)
  | ({ job: "touch" } & PlacedKey)
  | { job: "close" };

export type BlockAnswer =
  /** Up to the first that is not there. */
  | { job: "read"; number: number; blocks: Uint8Array<ArrayBuffer>[]; fault?: string }
  /** `there`: whether the block can be found from now on. */
  | { job: "write" | "touch"; key: string; bytes: number; there: boolean; fault?: string };

const { dir, most } = workerData as { dir: string; most: number };
const folder = new BlockFolder(dir, most);
const port = parentPort!;
const line: Exclude<BlockJob, { job: "read" }>[] = [];

/** What the disk refuses is told, whatever else goes wrong is a fault of ours. */
function attempt<T>(work: () => T): { value?: T; fault?: string } {
  try {
    return { value: work() };
  } catch (error) {
    if (!isDiskFault(error)) throw error;
    return { fault: error.message };
  }
}

function read({ number, keys, length }: Extract<BlockJob, { job: "read" }>): void {
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  const { fault } = attempt(() => {
    for (const { key, depth } of keys) {
      const block = folder.read(key, length, depth);
      if (block === undefined) break;
      blocks.push(block);
    }
  });
  port.postMessage(
    { job: "read", number, blocks, fault } satisfies BlockAnswer,
    blocks.map(({ buffer }) => buffer),
  );
}

function next(): void {
  const job = line.shift();
  if (job === undefined) return;
  if (job.job === "close") return port.close();
  const { key, depth } = job;
  const { value, fault } = attempt(() =>
    job.job === "touch" ? folder.touch(key, depth) : folder.write(key, job.bytes, depth),
  );
  const bytes = job.job === "write" ? job.bytes.length : 0;
  port.postMessage({ job: job.job, key, bytes, there: value === true, fault } satisfies BlockAnswer);
  setImmediate(next);
}

port.on("message", (job: BlockJob) => {
  if (job.job === "read") return read(job);
  line.push(job);
  if (line.length === 1) setImmediate(next);
});
