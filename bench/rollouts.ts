// Rollouts, many sequences at once, beside transformers' generate with the same weights, in one run and in turns:
//   npx tsx bench/rollouts.ts MODEL --python python3 [--sequences 128] [--prompt 32] [--tokens 128] [--threads 2] [--rounds 3] [--json]
// Temperature 1, nothing cut, every sequence to its last token; prompts, all different, are read in that time. Without --python only Sumbi is measured.
// One JSON object on stdout; `ratio` is the best of ours by the best of theirs, `alone` how our bits compare with each sequence by itself.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ModelEngine, openDecoder, type Sampled } from "../src/infer/index.ts";
import { parseConfig } from "../src/model/index.ts";
import { setThreads } from "../src/runtime/index.ts";
import { resultFile } from "./result.ts";

const WHAT = "rollouts";
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    sequences: { type: "string", default: "128" },
    prompt: { type: "string", default: "32" },
    tokens: { type: "string", default: "128" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    out: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});
const dir = positionals[0] ?? "models/nano";
const [sequences, prompt, tokens, threads, rounds] = (
  ["sequences", "prompt", "tokens", "threads", "rounds"] as const
).map((name) => Number(values[name])) as [number, number, number, number, number];

interface Peer {
  tokensPerSecond: number;
  variant: string;
}

async function main(): Promise<void> {
  const write = resultFile(values.out, WHAT, values.overwrite);
  setThreads(threads);
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const engine = new ModelEngine(await openDecoder(dir, config));
  const prompts = Array.from({ length: sequences }, (_, s) =>
    Array.from({ length: prompt }, (_, t) => (Math.imul(s * prompt + t + 1, 2654435761) >>> 9) % config.vocab_size),
  );
  let last: Sampled[] = [];
  let round = 0;
  const measure = async (): Promise<number> => {
    // prompts begin differently each time, so that none is remembered
    const first = (round++ * 7919) % config.vocab_size;
    const asked = prompts.map(([id = 0, ...rest]) => [(id + first) % config.vocab_size, ...rest]);
    const began = performance.now();
    last = await engine.sample({ prompts: asked, maxTokens: tokens, seed: round });
    return (1000 * sequences * tokens) / (performance.now() - began);
  };
  await measure();
  const ours: number[] = [];
  const peers: Peer[] = [];
  for (let n = 0; n < rounds; n++) {
    ours.push(await measure(), await measure());
    if (values.python) peers.push(peer(values.python));
    ours.push(await measure(), await measure());
  }
  const alone = await bitsAlone(engine, prompts, last, round, config.vocab_size);
  await engine.close();
  const sumbi = Math.max(...ours);
  const theirs = peers.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)[0];
  const middle = ours.sort((a, b) => a - b)[ours.length >> 1] ?? 0;
  const report = {
    model: dir,
    sequences,
    prompt,
    tokens,
    threads,
    cpu: cpus()[0]?.model,
    sumbi: { tokensPerSecond: rounded(sumbi), median: rounded(middle) },
    alone,
    ...(theirs ? { transformers: theirs, ratio: Math.round((100 * sumbi) / theirs.tokensPerSecond) / 100 } : {}),
  };
  write(report);
  process.stdout.write(`${JSON.stringify({ what: WHAT, ...report }, null, values.json ? 0 : 2)}\n`);
}

/** Three of the last round's sequences again, each by itself. */
async function bitsAlone(
  engine: ModelEngine,
  prompts: readonly number[][],
  among: readonly Sampled[],
  seed: number,
  vocabSize: number,
): Promise<string> {
  const first = ((seed - 1) * 7919) % vocabSize;
  for (const s of [0, sequences >> 1, sequences - 1]) {
    const [id = 0, ...rest] = prompts[s] ?? [];
    const request = { prompts: [[(id + first) % vocabSize, ...rest]], maxTokens: tokens, seed: seed + s * 2 ** 32 };
    const [one] = await engine.sample(request);
    const other = among[s];
    if (String(one?.ids) !== String(other?.ids) || String(one?.logprobs) !== String(other?.logprobs))
      return "other bits";
  }
  return "the same bits";
}

function peer(python: string): Peer {
  const script = fileURLToPath(new URL("peers/rollouts.py", import.meta.url));
  const sizes = { sequences, prompt, tokens, threads };
  const args = Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const run = spawnSync(python, [script, dir, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (run.status !== 0) throw new Error(`${python} ${script} ended with ${run.status}`);
  return JSON.parse(run.stdout) as Peer;
}

const rounded = (x: number): number => Math.round(x * 10) / 10;

void main();
