// Steps of GRPO beside TRL's GRPOTrainer with the same weights, prompts and settings, in one run and in turns:
//   npx tsx bench/grpo.ts MODEL --python P [--problems 8] [--group 16] [--prompt 32] [--tokens 128] [--steps 5] [--rounds 2] [--threads 2]
//     [--variants sdpa-f32,eager-f32] [--gradients f32|int8] [--natural] [--mtp] [--json] [--out F [--overwrite]]
// On-policy, no KL, r − mean, mean of all tokens, temperature 1, nothing cut; every answer has all its tokens, or (--natural) ends where the model ends it.
// Each turn is a fresh process; its first step does not count. `ratio` is of medians; processor time stands beside, since other work on the machine
// changes it less. TRL has no MTP module: without --mtp ours is left out too.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadWeights } from "../src/checkpoint/index.ts";
import { loadTokenizer } from "../src/data/index.ts";
import { parseConfig } from "../src/model/index.ts";
import { FIRST_PROGRESS, Grpo, parseReinforce, Rewards, type Task } from "../src/reason/index.ts";
import { setThreads } from "../src/runtime/index.ts";
import type { Tokenizer } from "../src/tokenizer/index.ts";
import { storeOf } from "../src/train/index.ts";
import { resultFile } from "./result.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    problems: { type: "string", default: "8" },
    group: { type: "string", default: "16" },
    prompt: { type: "string", default: "32" },
    tokens: { type: "string", default: "128" },
    steps: { type: "string", default: "5" },
    rounds: { type: "string", default: "2" },
    threads: { type: "string", default: "2" },
    micro: { type: "string", default: "16" },
    variants: { type: "string", default: "sdpa-f32,eager-f32,sdpa-bf16" },
    gradients: { type: "string", default: "f32" },
    natural: { type: "boolean", default: false },
    mtp: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    out: { type: "string" },
    overwrite: { type: "boolean", default: false },
    ours: { type: "boolean", default: false },
  },
});
const WHAT = "a step of GRPO";
const dir = positionals[0] ?? "models/nano";
const count = (name: "problems" | "group" | "prompt" | "tokens" | "steps" | "rounds" | "threads" | "micro"): number =>
  Number(values[name]);
const [problems, group, prompt, tokens] = [count("problems"), count("group"), count("prompt"), count("tokens")];
const [steps, rounds, threads, micro] = [count("steps"), count("rounds"), count("threads"), count("micro")];

/** What one step took, in seconds. `processor` is of all threads; `tokens` were drawn. */
interface Step {
  seconds: number;
  rollout: number;
  train: number;
  processor: number;
  tokens: number;
}

interface Turn {
  variant: string;
  steps: Step[];
  peakRssBytes: number;
  versions?: Record<string, string>;
}

/** Questions of exactly `prompt` ids: as many digits as that takes. */
function messagesOf(tokenizer: Tokenizer, index: number): { role: "user"; content: string }[] {
  const of = (digits: number) => {
    const content = Array.from({ length: digits }, (_, i) => Math.imul(index * 997 + i + 1, 2654435761) >>> 29).join(
      "",
    );
    return [{ role: "user" as const, content }];
  };
  const idsOf = (digits: number) => tokenizer.encodeChat(of(digits), { addGenerationPrompt: true }).ids.length;
  const digits = prompt - idsOf(1) + 1;
  if (digits < 1 || idsOf(digits) !== prompt)
    throw new Error(`bench: expected a prompt of ${prompt} tokens to be possible, got ${idsOf(Math.max(1, digits))}`);
  return of(digits);
}

/** bench/peers/grpo.py has the same reward: the share of the letter e. */
const shareOfE = (text: string): number => (text.split("e").length - 1) / Math.max(1, text.length);

function taskOf(tokenizer: Tokenizer): Task {
  return {
    name: "letters",
    about: "the share of the letter e",
    weights: { answer: 1 },
    problem: (_seed, _split, index) => {
      const place = index % problems;
      const id = String(place);
      return { id, group: id, prompt: messagesOf(tokenizer, place), reference: "", data: undefined, facts: {} };
    },
    score: (_problem, { text }) => ({ parts: { answer: shareOfE(text) } }),
    answer: () => undefined,
    same: () => false,
  };
}

/** Adds up how long calls of an object's methods take. */
class Clock {
  seconds = 0;

  constructor(owner: object, names: readonly string[]) {
    const methods = owner as Record<string, (...given: unknown[]) => Promise<unknown>>;
    for (const name of names) {
      const inner = methods[name];
      if (inner === undefined) throw new Error(`bench: expected a method ${name}`);
      methods[name] = async (...given) => {
        const began = performance.now();
        try {
          return await inner.apply(owner, given);
        } finally {
          this.seconds += (performance.now() - began) / 1000;
        }
      };
    }
  }

  take(): number {
    const { seconds } = this;
    this.seconds = 0;
    return seconds;
  }
}

/** Takes the steps in this process and prints what they took. */
async function ours(): Promise<void> {
  setThreads(threads);
  const json = JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as Record<string, unknown>;
  const config = parseConfig(values.mtp ? json : { ...json, num_nextn_predict_layers: 0 });
  const tokenizer = loadTokenizer(dir);
  if (!values.natural) Object.defineProperty(tokenizer, "eosIds", { value: [] });
  const options = parseReinforce({
    gradients: values.gradients,
    problems,
    group,
    maxTokens: tokens,
    resample: 1,
    aggregation: "token",
    learningRate: 1e-5,
    warmupSteps: 0,
    microBatch: micro,
  });
  const store = storeOf([{ config, lanes: Math.min(threads, micro) }]);
  await loadWeights(dir, () => config, { mtp: values.mtp, into: (key) => store.parameter(key).data });
  store.changed();
  const rewards = new Rewards(taskOf(tokenizer));
  const grpo = await Grpo.create({ config, store, tokenizer, rewards, options });
  const rollout = new Clock(grpo.rollouts.engine, ["sample"]);
  const train = new Clock(grpo.learning.learner, ["begin", "accumulate", "gradientNorm", "apply"]);
  const taken: Step[] = [];
  let progress = FIRST_PROGRESS;
  for (let step = 0; step <= steps; step++) {
    const [began, used] = [performance.now(), process.cpuUsage()];
    const drawn = progress.tokens;
    ({ progress } = await grpo.step(progress));
    const { user, system } = process.cpuUsage(used);
    taken.push({
      seconds: (performance.now() - began) / 1000,
      rollout: rollout.take(),
      train: train.take(),
      processor: (user + system) / 1e6,
      tokens: progress.tokens - drawn,
    });
  }
  await grpo.close();
  const turn: Turn = {
    variant: "sumbi",
    steps: taken.slice(1),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  };
  process.stdout.write(`${JSON.stringify(turn)}\n`);
}

function run(command: string, args: string[]): Turn {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  const line = done.stdout
    .trim()
    .split("\n")
    .findLast((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`${command} ${args.join(" ")}: ${done.stderr.slice(-2000)}`);
  const turn = JSON.parse(line) as Turn;
  const { seconds, rollout, processor } = summary([turn]);
  process.stderr.write(
    `${turn.variant}: a step ${seconds.median.toFixed(2)} s, rollouts ${rollout.median.toFixed(2)} s, ${processor.median.toFixed(2)} s of processor\n`,
  );
  return turn;
}

interface Spread {
  median: number;
  least: number;
  most: number;
}

function spread(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const rounded = (x = 0) => Math.round(x * 1e4) / 1e4;
  return { median: rounded(sorted[sorted.length >> 1]), least: rounded(sorted[0]), most: rounded(sorted.at(-1)) };
}

function summary(turns: readonly Turn[]) {
  const all = turns.flatMap((turn) => turn.steps);
  return {
    seconds: spread(all.map((step) => step.seconds)),
    rollout: spread(all.map((step) => step.rollout)),
    train: spread(all.map((step) => step.train)),
    rest: spread(all.map((step) => (step.seconds - step.rollout - step.train) / step.seconds)),
    processor: spread(all.map((step) => step.processor)),
    rolloutTokensPerSecond: spread(all.map((step) => step.tokens / step.rollout)),
    tokens: spread(all.map((step) => step.tokens)),
    peakRssBytes: Math.max(...turns.map((turn) => turn.peakRssBytes)),
  };
}

function main(): void {
  const write = resultFile(values.out, WHAT, values.overwrite);
  const self = fileURLToPath(import.meta.url);
  const folder = mkdtempSync(join(tmpdir(), "sumbi-bench-"));
  const asked = join(folder, "prompts.json");
  const tokenizer = loadTokenizer(dir);
  const prompts = Array.from({ length: problems }, (_, index) => messagesOf(tokenizer, index));
  writeFileSync(asked, JSON.stringify({ prompts, tokens: prompt }));
  const flags = Object.entries(values).flatMap(([name, value]) =>
    ["json", "out", "overwrite", "python", "ours", "variants", "rounds"].includes(name) || value === false
      ? []
      : value === true
        ? [`--${name}`]
        : [`--${name}`, String(value)],
  );
  const shared = ["--group", `${group}`, "--tokens", `${tokens}`, "--steps", `${steps}`, "--threads", `${threads}`];
  const script = fileURLToPath(new URL("peers/grpo.py", import.meta.url));
  const turns: Turn[] = [];
  const variants = values.python ? values.variants.split(",") : [];
  try {
    for (let round = 0; round < rounds; round++) {
      if (variants.length === 0)
        turns.push(run(process.execPath, [...process.execArgv, self, dir, "--ours", ...flags]));
      for (const variant of variants) {
        turns.push(run(process.execPath, [...process.execArgv, self, dir, "--ours", ...flags]));
        const natural = values.natural ? ["--natural"] : [];
        turns.push(run(values.python ?? "", [script, dir, asked, "--variant", variant, ...shared, ...natural]));
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const of = (variant: string) => summary(turns.filter((turn) => turn.variant === variant));
  const sumbi = of("sumbi");
  const trl = Object.fromEntries(variants.map((variant) => [variant, of(variant)]));
  const best = Object.values(trl).toSorted((a, b) => a.seconds.median - b.seconds.median)[0];
  const quotient = (a: number, b: number) => Math.round((100 * a) / b) / 100;
  const report = {
    model: dir,
    machine: { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version },
    settings: {
      problems,
      group,
      prompt,
      tokens,
      steps,
      rounds,
      threads,
      micro,
      gradients: values.gradients,
      natural: values.natural,
      mtp: values.mtp,
    },
    sumbi,
    restShare: sumbi.rest.median,
    ...(best && {
      ratio: quotient(best.seconds.median, sumbi.seconds.median),
      rolloutRatio: quotient(sumbi.rolloutTokensPerSecond.median, best.rolloutTokensPerSecond.median),
      trainRatio: quotient(best.train.median, sumbi.train.median),
      processorRatio: quotient(best.processor.median, sumbi.processor.median),
      memoryRatio: quotient(sumbi.peakRssBytes, best.peakRssBytes),
      trl,
      versions: turns.find((turn) => turn.versions)?.versions,
    }),
  };
  write(report);
  process.stdout.write(`${JSON.stringify({ what: WHAT, ...report }, null, values.json ? 0 : 2)}\n`);
}

if (values.ours) await ours();
else main();
