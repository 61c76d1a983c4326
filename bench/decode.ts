// Decoding speed at batch 1, beside a peer in one run and in turns. One JSON object on stdout. Without --python only Sumbi is measured.
//   npx tsx bench/decode.ts MODEL --python python3 [--prompt 32] [--tokens 128] [--threads 2] [--rounds 3] [--compile] [--weights q4|q8|f32]
//     beside transformers with the same weights in f32
//   npx tsx bench/decode.ts --shape qwen2-1.5b|v2-lite --weights q4 [--layers N] [--python P --gguf FILE]
//     random weights of that shape; prefill of 512 tokens too; beside llama.cpp on a GGUF file of it (bench/peers/llama.py; one is made by
//     scripts/random-model.ts and `sumbi convert --type q4_0`)
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Decoder, ModelEngine, openDecoder, SAMPLING_DEFAULTS } from "../src/infer/index.ts";
import { parseConfig, WEIGHTS_FORMS } from "../src/model/index.ts";
import { setThreads } from "../src/runtime/index.ts";
import { bytesPerToken, randomWeights, SHAPES, type Shape, shapeConfig } from "./shapes.ts";

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
  },
});
const dir = positionals[0] ?? "";
const form = WEIGHTS_FORMS.find((name) => name === values.weights);
const shape = (Object.keys(SHAPES) as Shape[]).find((name) => name === values.shape);
const PREFILL = 512;
const [prompt, tokens, threads, rounds] = [values.prompt, values.tokens, values.threads, values.rounds].map(Number) as [
  number,
  number,
  number,
  number,
];

async function main(): Promise<void> {
  setThreads(threads);
  if (shape) return ofShape(shape);
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
  for (let round = 0; round < rounds!; round++) {
    ours.push(await measure(), await measure());
    if (values.python) peers.push(peer(values.python));
    ours.push(await measure(), await measure());
  }
  await engine.close();
  const sumbi = Math.max(...ours);
  const best = peers.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)[0];
  const report = {
    what: "decode, batch 1",
    model: dir,
    prompt,
    tokens,
    threads,
    cpu: cpus()[0]!.model,
    sumbi: { tokensPerSecond: round(sumbi), median: round(ours.sort((a, b) => a - b)[ours.length >> 1]!) },
    ...(best ? { transformers: best, ratio: round(sumbi / best.tokensPerSecond) } : {}),
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}

/** Random weights of a shape: decode through the engine, prefill as one pass, in turns with llama.cpp. */
async function ofShape(name: Shape): Promise<void> {
  const config = shapeConfig(name, values.layers ? Number(values.layers) : undefined);
  const weights = randomWeights(config, form ?? "q4");
  const bytes = bytesPerToken(config, weights);
  const engine = new ModelEngine(await Decoder.create(config, weights, { frozen: true }), { prefillTokens: PREFILL });
  let seed = 0;
  /** Tokens per second: of a prompt of PREFILL tokens that no cache knows, and after one of 32. */
  const measure = async () => {
    const drawn = (count: number) =>
      Array.from({ length: count }, (_, i) => (i * 37 + 1013 * ++seed) % config.vocab_size);
    const sampling = { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 };
    const began = performance.now();
    for await (const _ of engine.generate({ prompt: drawn(PREFILL), maxTokens: 1, sampling, stopIds: [] }));
    const prefill = (1000 * PREFILL) / (performance.now() - began);
    let first = 0;
    for await (const _ of engine.generate({ prompt: drawn(prompt), maxTokens: tokens, sampling, stopIds: [] }))
      first ||= performance.now();
    return { prefill, decode: (1000 * (tokens - 1)) / (performance.now() - first) };
  };
  await measure();
  const ours = [];
  const peers: { decodePerSecond: number; prefillPerSecond: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    ours.push(await measure());
    if (values.python && values.gguf) peers.push(llama(values.python, values.gguf));
    ours.push(await measure());
  }
  await engine.close();
  const best = (of: number[]) => Math.max(...of);
  const [decode, prefill] = [best(ours.map((one) => one.decode)), best(ours.map((one) => one.prefill))];
  const report = {
    what: "decode and prefill of random weights",
    shape: name,
    layers: config.num_hidden_layers,
    weights: form ?? "q4",
    prompt,
    tokens,
    threads,
    cpu: cpus()[0]!.model,
    sumbi: {
      decodePerSecond: round(decode),
      prefillPerSecond: round(prefill),
      gigabytesPerSecond: round((decode * bytes) / 1e9),
    },
    ...(peers.length > 0
      ? {
          llamaCpp: {
            decodePerSecond: round(best(peers.map((one) => one.decodePerSecond))),
            prefillPerSecond: round(best(peers.map((one) => one.prefillPerSecond))),
          },
          ratio: hundredths(decode / best(peers.map((one) => one.decodePerSecond))),
          prefillRatio: hundredths(prefill / best(peers.map((one) => one.prefillPerSecond))),
        }
      : {}),
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}

const hundredths = (x: number): number => Math.round(x * 100) / 100;

function llama(python: string, gguf: string): { decodePerSecond: number; prefillPerSecond: number } {
  const script = fileURLToPath(new URL("peers/llama.py", import.meta.url));
  const args = [
    script,
    gguf,
    "--prompt",
    String(PREFILL),
    "--tokens",
    String(tokens),
    "--threads",
    String(threads),
    "--repeats",
    "1",
  ];
  const run = spawnSync(python, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (run.status !== 0) throw new Error(`${python} ${script} ended with ${run.status}`);
  return JSON.parse(run.stdout) as { decodePerSecond: number; prefillPerSecond: number };
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
