// A process that takes inputs in, one at a time, as its parent says. By hand: npx tsx test/fuzz/child.ts LOADER NUMBER [SEED]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, take, validInputs, writeInput } from "./input.ts";
import { LOADERS, type Loader } from "./loaders.ts";

export type FromChild =
  | { type: "ready" }
  | { type: "valid"; inputs: number }
  /** The input is written and is being taken in now. */
  | { type: "begun" }
  | { type: "done"; outcome: Outcome; cpuMs: number; peakBytes: number };
export type ToChild = { loader: string; number: number; seed: string; dir: string } | { loader: string; count: true };

const loaderOf = (name: string): Loader => {
  const found = LOADERS.find((loader) => loader.name === name);
  if (!found) throw new Error(`fuzz: expected one of ${LOADERS.map((loader) => loader.name).join(", ")}, got ${name}`);
  return found;
};
const tell = (message: FromChild): void => void process.send?.(message);

if (process.send) {
  // What verbs print is nobody's business here.
  process.stdout.write = (() => true) as typeof process.stdout.write;
  process.on("message", async (message: ToChild) => {
    const loader = loaderOf(message.loader);
    if ("count" in message) return tell({ type: "valid", inputs: await validInputs(loader) });
    await writeInput(loader, message.seed, message.number, message.dir);
    // Garbage of earlier inputs must not count as this one's.
    if (process.memoryUsage.rss() > 400e6) globalThis.gc?.();
    const before = process.cpuUsage();
    tell({ type: "begun" });
    const outcome = await take(loader, message.dir);
    const { user, system } = process.cpuUsage(before);
    tell({ type: "done", outcome, cpuMs: (user + system) / 1000, peakBytes: process.resourceUsage().maxRSS * 1024 });
  });
  process.on("disconnect", () => process.exit());
  tell({ type: "ready" });
} else {
  const [name = "", number = "", seed = "1"] = process.argv.slice(2);
  const dir = mkdtempSync(join(tmpdir(), "sumbi-fuzz-one-"));
  await writeInput(loaderOf(name), seed, Number(number), join(dir, "in"));
  const began = performance.now();
  const outcome = await take(loaderOf(name), join(dir, "in"));
  console.log(outcome.kind, outcome.kind === "fault" ? outcome.stack || outcome.message : outcome.message);
  console.log(
    `${Math.round(performance.now() - began)} ms, ${Math.round(process.resourceUsage().maxRSS / 1024)} MB at most; the input: ${dir}`,
  );
  if (outcome.kind === "loaded") rmSync(dir, { recursive: true });
  process.exit();
}
