// Decoding speed at batch 1, beside transformers with the same weights, in one run and in turns:
//   npx tsx bench/decode.ts MODEL --python python3 [--prompt 32] [--tokens 128] [--threads 2] [--rounds 3] [--compile]
// Without --python only Sumbi is measured. One JSON object on stdout.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ModelEngine, openDecoder, SAMPLING_DEFAULTS } from "../src/infer/index.ts";
import { parseConfig } from "../src/model/index.ts";
import { setThreads } from "../src/runtime/index.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    prompt: { type: "string", default: "32" },
    tokens: { type: "string", default: "128" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    compile: { type: "boolean", default: false },
  },
});
const dir = positionals[0]!;
const [prompt, tokens, threads, rounds] = [values.prompt, values.tokens, values.threads, values.rounds].map(Number) as [
  number,
  number,
  number,
  number,
];

async function main(): Promise<void> {
  setThreads(threads);
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const engine = new ModelEngine(await openDecoder(dir, config));
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
