// What a model's folder takes in memory once it is open, in bytes for each of its file's, on Linux:
//   npx tsx bench/memory.ts MODEL
// `peak` is the most while it was opened, `steady` what is left after 64 tokens of prompt and 60 more. Both without what Node.js takes by itself.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ModelEngine, openDecoder } from "../src/infer/index.ts";
import { parseConfig } from "../src/model/index.ts";
import { setThreads } from "../src/runtime/index.ts";

const dir = process.argv[2]!;

/** Bytes by /proc/self/status: VmHWM is the most so far, VmRSS what is held. */
function held(field: "VmHWM" | "VmRSS"): number {
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

async function main(): Promise<void> {
  setThreads(2);
  const before = held("VmRSS");
  const fileBytes = statSync(join(dir, "model.safetensors")).size;
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const decoder = await openDecoder(dir, config);
  const peak = (held("VmHWM") - before) / fileBytes;
  const engine = new ModelEngine(decoder);
  const prompt = Array.from({ length: 64 }, (_, i) => i + 1);
  await engine.sample({ prompts: [prompt], maxTokens: 60, seed: 1 });
  const steady = (held("VmRSS") - before) / fileBytes;
  const shown = { fileBytes, peak: Number(peak.toFixed(2)), steady: Number(steady.toFixed(2)) };
  process.stdout.write(`${JSON.stringify(shown)}\n`);
  await engine.close();
}

void main();
