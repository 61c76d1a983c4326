/** The inside of a confined process: answers a setup and then jobs, watched by a thread that ends it when it grows or its parent is gone. */
import { Worker } from "node:worker_threads";
import type { Answered, Sent } from "./confined.ts";

/** Looks 50 times a second, also while the program is in a loop. */
const WATCH = `
const { workerData } = require("node:worker_threads");
const parent = process.ppid;
setInterval(() => {
  if (process.memoryUsage.rss() > workerData || process.ppid !== parent) process.kill(process.pid, "SIGKILL");
}, 20);
`;
/** What Node itself takes. */
const OWN_MIB = 160;

/** `begin` gets the setup and gives what is said of it and what does the jobs; whatever they throw is answered with its message. */
export function serveConfined(
  begin: (setup: never) => Promise<{ about: unknown; work: (job: never) => unknown }>,
): void {
  const memoryMiB = Number(process.env["SUMBI_CONFINED_MIB"]) + OWN_MIB;
  new Worker(WATCH, { eval: true, workerData: memoryMiB * 2 ** 20 }).unref();
  let work: ((job: never) => unknown) | undefined;
  const answer = (message: Answered): void => void process.send?.(message);
  process.on("message", (message: Sent) => {
    void (async () => {
      try {
        if ("setup" in message) {
          const begun = await begin(message.setup as never);
          work = begun.work;
          answer({ done: begun.about });
        } else answer({ done: await work?.(message.job as never) });
      } catch (error) {
        answer({ failed: wordsOf(error) });
      }
    })();
  });
  process.on("disconnect", () => process.exit());
  // what a program leaves running may fail later: nobody waits for it
  process.on("uncaughtException", () => undefined);
  process.on("unhandledRejection", () => undefined);
  // what is meant for the parent: it says when to end
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
}

function wordsOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).slice(0, 500);
  } catch {
    return "an error that cannot be said";
  }
}
