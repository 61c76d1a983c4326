// Training speed of a recipe's model beside PyTorch on the same cores, in one run and in turns:
//   npx tsx bench/train.ts nano --python python3 [--batch 8] [--steps 12] [--threads 2] [--rounds 2] [--precisions int8,f32] [--variants a,b] [--json FILE [--overwrite]]
// Peers are bench/peers/train.py's: transformers (eager, as it comes) and the variants of a lean PyTorch V3 (compiled or eager, f32 or
// bf16 autocast, experts by loop or grouped GEMM). All take forward, backward, clipping and AdamW on the same shapes, in fresh processes.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readRecipe } from "../src/runs/index.ts";
import { measureGemmPeak, setThreads } from "../src/runtime/index.ts";
import { parseRecipe, phasesOf, storeOf, suitableLanes, Trainer } from "../src/train/index.ts";
import { resultFile } from "./result.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    batch: { type: "string", default: "8" },
    steps: { type: "string", default: "12" },
    threads: { type: "string", default: "2" },
    lanes: { type: "string" },
    precisions: { type: "string" },
    rounds: { type: "string", default: "2" },
    variants: {
      type: "string",
      default:
        "lean-grouped-compiled-f32-ddp,lean-grouped-eager-f32-ddp,lean-grouped-compiled-f32,lean-loop-compiled-f32,lean-grouped-eager-f32,lean-loop-eager-f32,lean-grouped-compiled-bf16",
    },
    json: { type: "string" },
    overwrite: { type: "boolean", default: false },
    ours: { type: "boolean", default: false },
  },
});
const [name = "nano"] = positionals;
const save = resultFile(values.json, `training ${name}`, values.overwrite);
const [batch, steps, threads, rounds] = [values.batch, values.steps, values.threads, values.rounds].map(Number) as [
  number,
  number,
  number,
  number,
];

interface Measured {
  tokensPerSecond: number;
  bestTokensPerSecond: number;
  peakRssBytes: number;
  [more: string]: unknown;
}

/** Trains on made-up ids in this process and prints what it measured. */
async function ours(): Promise<void> {
  setThreads(threads);
  const open = parseRecipe({
    ...readRecipe(name).json,
    batch: { end: batch },
    microBatch: batch,
    tokens: 1e9,
    ...(values.precisions ? { precision: values.precisions } : {}),
  });
  const recipe = { ...open, lanes: values.lanes ? Number(values.lanes) : suitableLanes(open, threads) };
  const phases = phasesOf(recipe, recipe.model as Record<string, unknown>);
  const { config, sequence } = phases[0]!;
  const store = storeOf(phases);
  store.initialize(1, 0.02);
  const seconds: number[] = [];
  let flopsPerStep = 0;
  let compileSeconds = 0;
  const began = performance.now();
  const trainer: Trainer = await Trainer.create(
    recipe,
    phases,
    store,
    {
      train: (first, count, length, extra) =>
        Int32Array.from(
          { length: count * (length + extra) },
          (_, i) => (Math.imul(i + first * 7919, 2654435761) >>> 9) % config.vocab_size,
        ),
    },
    { save: async () => {}, load: async () => undefined },
    {
      phase: () => (compileSeconds = (performance.now() - began) / 1000),
      step(report) {
        seconds.push(report.stepSeconds);
        flopsPerStep = report.flopsPerSecond * report.stepSeconds;
        if (report.step === steps + 3) trainer.stop();
      },
    },
  );
  await trainer.run();
  const timed = seconds.slice(3).sort((a, b) => a - b);
  const median = timed[timed.length >> 1]!;
  const { maxRSS } = process.resourceUsage();
  const peak = (await measureGemmPeak()).flopsPerSec;
  console.log(
    JSON.stringify({
      peer: "sumbi",
      tokensPerSecond: (batch * sequence) / median,
      bestTokensPerSecond: (batch * sequence) / timed[0]!,
      stepSeconds: median,
      peakRssBytes: maxRSS * 1024,
      compileSeconds,
      flopsPerSec: flopsPerStep / median,
      gemmFlopsPerSec: peak,
      gemmShare: flopsPerStep / median / peak,
      batch,
      sequence,
      steps,
      threads,
      lanes: recipe.lanes,
      precision: recipe.precision,
    }),
  );
  process.exit(0);
}

function run(command: string, args: string[]): Measured {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  const line = done.stdout
    .trim()
    .split("\n")
    .findLast((l) => l.startsWith("{"));
  if (line === undefined) throw new Error(`${command} ${args.join(" ")}: ${done.stderr.slice(-500)}`);
  return JSON.parse(line) as Measured;
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

if (values.ours) await ours();
else {
  const self = fileURLToPath(import.meta.url);
  const config = join(mkdtempSync(join(tmpdir(), "sumbi-bench-")), "config.json");
  const recipe = readRecipe(name).json;
  writeFileSync(config, JSON.stringify(recipe["model"]));
  const sequence = Number(recipe["sequence"] ?? 256);
  const peers = values.python ? ["transformers", ...values.variants.split(",").filter(Boolean)] : [];
  const precisions = values.precisions?.split(",") ?? [String(recipe["precision"] ?? "f32")];
  const results: Record<string, Measured[]> = {};
  const measure = (peer: string, command: string, args: string[]): Measured => {
    const measured = run(command, [...args, "--batch", `${batch}`, "--steps", `${steps}`, "--threads", `${threads}`]);
    (results[peer] ??= []).push(measured);
    process.stderr.write(
      `${peer}: ${measured.tokensPerSecond.toFixed(0)} tokens/s, ${(measured.peakRssBytes / 1e6).toFixed(0)} MB\n`,
    );
    return measured;
  };
  const own = (precision: string) =>
    measure(`sumbi ${precision}`, process.execPath, [
      ...process.execArgv,
      self,
      name,
      "--ours",
      "--precisions",
      precision,
    ]);
  const other = (peer: string) =>
    measure(peer, values.python!, [
      fileURLToPath(new URL("peers/train.py", import.meta.url)),
      config,
      "--peer",
      peer,
      "--sequence",
      `${sequence}`,
    ]);
  // The machine's speed drifts, so each peer is compared with the runs of ours just before it, and the median of the rounds counts.
  const pairs: Record<string, Record<string, number[]>> = {};
  for (let round = 0; round < rounds; round++) {
    if (peers.length === 0) precisions.forEach(own);
    for (const peer of peers) {
      const ours = precisions.map(own);
      const theirs = other(peer);
      ours.forEach((one, i) =>
        ((pairs[precisions[i]!] ??= {})[peer] ??= []).push(one.tokensPerSecond / theirs.tokensPerSecond),
      );
    }
  }
  const best = (peer: string): Measured =>
    results[peer]!.reduce((a, b) => (a.tokensPerSecond > b.tokensPerSecond ? a : b));
  const compared = (precision: string) => {
    const sumbi = best(`sumbi ${precision}`);
    if (peers.length === 0) return { sumbi };
    const ratio = (peer: string): number => middle(pairs[precision]![peer]!);
    const closest = peers.slice(1).toSorted((a, b) => ratio(a) - ratio(b))[0];
    return {
      sumbi,
      medianTokensPerSecond: middle(results[`sumbi ${precision}`]!.map((one) => one.tokensPerSecond)),
      ratioToTransformers: ratio("transformers"),
      ...(closest ? { fastestPyTorch: closest, ratioToFastestPyTorch: ratio(closest) } : {}),
      memoryRatioToTransformers: sumbi.peakRssBytes / best("transformers").peakRssBytes,
      // Ours over the peer's, round by round.
      pairs: pairs[precision],
    };
  };
  const report = {
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      kernel: execFileSync("uname", ["-r"], { encoding: "utf8" }).trim(),
      node: process.version,
    },
    ...Object.fromEntries(precisions.map((precision) => [precision, compared(precision)])),
    peers: Object.fromEntries(peers.map((peer) => [peer, best(peer)])),
    all: results,
  };
  save(report);
  process.stdout.write(`${JSON.stringify({ ...report, all: undefined }, null, 2)}\n`);
}
