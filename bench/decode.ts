// Decoding speed at batch 1, beside a peer in one run and in turns. One JSON object on stdout. Without --python only Sumbi is measured.
//   npx tsx bench/decode.ts MODEL --python python3 [--prompt 32] [--tokens 128] [--threads 2] [--rounds 3] [--compile] [--weights q4|q8|f32]
//     beside transformers with the same weights in f32
//   npx tsx bench/decode.ts --shape qwen2-1.5b|v2-lite|v2-lite-16 --weights q4 [--layers N] [--prefill 512] [--python P --gguf FILE] [--json] [--out FILE [--overwrite]]
//     random weights of that shape (bench/decodeShape.ts), beside llama.cpp on a GGUF file of it
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ModelEngine, openDecoder, SAMPLING_DEFAULTS } from "../src/infer/index.ts";
import { parseConfig, WEIGHTS_FORMS } from "../src/model/index.ts";
import { setThreads } from "../src/runtime/index.ts";
import { decodeShape, SHAPE_WHAT } from "./decodeShape.ts";
import { resultFile } from "./result.ts";
import { SHAPES, type Shape } from "./shapes.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    prompt: { type: "string", default: "32" },
    tokens: { type: "string", default: "128" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    compile: { type: "boolean", default: false },
    weights: { type: "string" },
    shape: { type: "string" },
    layers: { type: "string" },
    gguf: { type: "string" },
    prefill: { type: "string", default: "512" },
    json: { type: "boolean", default: false },
    out: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});
const dir = positionals[0] ?? "";
const form = WEIGHTS_FORMS.find((name) => name === values.weights);
const shape = (Object.keys(SHAPES) as Shape[]).find((name) => name === values.shape);
const [prompt, tokens, threads, rounds, prefill] = [
  values.prompt,
  values.tokens,
  values.threads,
  values.rounds,
  values.prefill,
].map(Number) as [number, number, number, number, number];

async function main(): Promise<void> {
  setThreads(threads);
  const write = resultFile(values.out, shape ? SHAPE_WHAT : WHAT, values.overwrite);
  if (shape) {
    const { python, gguf, layers } = values;
    const measured = await decodeShape(shape, {
      form,
      prompt,
      prefill,
      tokens,
      threads,
      rounds,
      python,
      gguf,
      layers: layers ? Number(layers) : undefined,
    });
    return finish(SHAPE_WHAT, measured, write);
  }
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const engine = new ModelEngine(await openDecoder(dir, config, { weights: form }));
  const ids = Array.from({ length: prompt }, (_, i) => (i * 37) % config.vocab_size);

  /** Tokens per second from the first token to the last, through the whole engine: graph, sampling, stream. */
  const measure = async (): Promise<number> => {
    const sampling = { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 };
    let first = 0;
    for await (const _ of engine.generate({ prompt: ids, maxTokens: tokens, sampling, stopIds: [] }))
      first ||= performance.now();
    return (1000 * (tokens - 1)) / (performance.now() - first);
  };
  await measure();
  const ours: number[] = [];
  const peers: { tokensPerSecond: number; variant: string }[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await measure(), await measure());
    if (values.python) peers.push(peer(values.python));
    ours.push(await measure(), await measure());
  }
  await engine.close();
  const sumbi = Math.max(...ours);
  const best = peers.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)[0];
  const report = {
    model: dir,
    prompt,
    tokens,
    threads,
    cpu: cpus()[0]!.model,
    sumbi: { tokensPerSecond: round(sumbi), median: round(ours.sort((a, b) => a - b)[ours.length >> 1]!) },
    ...(best ? { transformers: best, ratio: round(sumbi / best.tokensPerSecond) } : {}),
  };
  finish(WHAT, report, write);
}

const WHAT = "decode, batch 1";

function finish(what: string, report: object, write: (result: object) => void): void {
  write(report);
  process.stdout.write(`${JSON.stringify({ what, ...report }, null, values.json ? 0 : 2)}\n`);
}

function peer(python: string): { tokensPerSecond: number; variant: string } {
  const script = fileURLToPath(new URL("peers/decode.py", import.meta.url));
  const args = [
    script,
    dir,
    "--prompt",
    String(prompt),
    "--tokens",
    String(tokens),
    "--threads",
    String(threads),
    "--repeats",
    "1",
  ];
  const run = spawnSync(python, values.compile ? args : [...args, "--skip-compile"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (run.status !== 0) throw new Error(`${python} ${script} ended with ${run.status}`);
  return JSON.parse(run.stdout) as { tokensPerSecond: number; variant: string };
}

const round = (x: number): number => Math.round(x * 10) / 10;

void main();
