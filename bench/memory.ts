// What a model's folder takes in memory once it is open, in bytes for each of its file's, on Linux:
//   npx tsx bench/memory.ts MODEL [--weights q4|q8|f32]
// With q4 and q8 the file is that of the packed weights, which the first run writes. `anon` is what cannot be read from a file again.
// `peak` is the most while it was opened, `steady` what is left after 64 tokens of prompt and 60 more. Both without what Node.js takes by itself.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ModelEngine, openDecoder } from "../src/infer/index.ts";
import { parseConfig, WEIGHTS_FORMS } from "../src/model/index.ts";
import { setThreads } from "../src/runtime/index.ts";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { weights: { type: "string" } } });
const dir = positionals[0]!;
const form = WEIGHTS_FORMS.find((name) => name === values.weights);

/** Bytes by /proc/self/status: VmHWM is the most so far, VmRSS what is held. */
function held(field: "VmHWM" | "VmRSS" | "RssAnon"): number {
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

async function main(): Promise<void> {
  setThreads(2);
  const before = held("VmRSS");
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const began = performance.now();
  const decoder = await openDecoder(dir, config, { weights: form });
  const openSeconds = (performance.now() - began) / 1000;
  const isPacked = form === "q4" || form === "q8";
  const fileBytes =
    isPacked && decoder.weightsAbout ? decoder.weightsAbout.bytes : statSync(join(dir, "model.safetensors")).size;
  const peak = (held("VmHWM") - before) / fileBytes;
  const engine = new ModelEngine(decoder);
  const prompt = Array.from({ length: 64 }, (_, i) => i + 1);
  await engine.sample({ prompts: [prompt], maxTokens: 60, seed: 1 });
  const steady = (held("VmRSS") - before) / fileBytes;
  const anon = (held("RssAnon") - before) / fileBytes;
  const digits = (x: number) => Number(x.toFixed(2));
  const shown = {
    fileBytes,
    peak: digits(peak),
    steady: digits(steady),
    anon: digits(anon),
    before,
    openSeconds: digits(openSeconds),
  };
  process.stdout.write(`${JSON.stringify(shown)}\n`);
  await engine.close();
}

void main();
