/** From nothing to a chat that reasons, in under an hour on two cores: npm run speedrun [-- --out DIR] [--small]. The stages below are the documentation.
 * Stopped, by Ctrl-C or kill -9, it goes on where it was with the same command. `--small` does every stage in miniature, to see that all works.
 */
import { spawn } from "node:child_process";
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Ledger, ledgerSchema, reportOf } from "./speedrun/report.ts";

const { values } = parseArgs({
  options: { out: { type: "string", default: "speedrun" }, small: { type: "boolean", default: false } },
});
const { out, small } = values;
const at = (name: string): string => join(out, name);

/** A stage is one command, and what is there when it is done. */
interface Stage {
  name: string;
  about: string;
  /** Of `sumbi`, or a file of TypeScript with what it is told. */
  command: string[];
  makes: string;
  /** A run, that can be gone on with: its verb and what it is resumed with. */
  run?: string[];
  /** What it prints is what it makes. */
  prints?: boolean;
}

const size = (full: number, miniature: number): string => String(small ? miniature : full);

/** Texts of a task for pretraining. */
const texts = (name: string, task: string, count: [number, number], ...more: string[]): Stage => ({
  name: `texts: ${name}`,
  about: `questions of ${task} with their working`,
  command: ["reason", "texts", "--task", task, "--count", size(...count), ...more, "--out", at(`${name}.jsonl`)],
  makes: at(`${name}.jsonl`),
});

/** A stage that makes a model from data or from another. */
const model = (name: string, about: string, verb: string[], from: string[], set: string[]): Stage => ({
  name,
  about,
  command: [...verb, ...from, ...(set.length > 0 ? ["--set", ...set] : []), "--out", at(name)],
  makes: at(`${name}/config.json`),
  run: verb,
});

const evaluation = (of: string, task: string, [n, k]: [number, number]): Stage => ({
  name: `${of} on ${task}`,
  about: "unseen problems, greedily and sampled",
  command: [
    "evaluate",
    at(of),
    "--task",
    task,
    "--n",
    size(n, 8),
    "--k",
    String(k),
    "--max-tokens",
    size(256, 32),
    "--seed",
    "1",
    "--json",
  ],
  makes: at(`${of}-${task}.json`),
  prints: true,
});

const bench = (
  of: string,
  what: "arithmetic" | "conversation",
  amount: [number, number],
  ...more: string[]
): Stage => ({
  name: `${of} in ${what}`,
  about: "held-out problems, greedily",
  command: [`bench/${what}.ts`, at(of), size(...amount), ...more],
  makes: at(`${of}-${what}.json`),
  prints: true,
});

const CHAT = ["builtin:arithmetic:40000", "builtin:conversations:5000", "builtin:smalltalk:8000", "builtin:english:20"];
const SMALL_CHAT = ["builtin:arithmetic:200", "builtin:conversations:40", "builtin:smalltalk:100"];
const SMALL_TRAINING = [
  // so few texts have so few pairs to merge
  "model.vocab_size=512",
  "tokenizer.vocabSize=512",
  "tokens=2e4",
  "extension.0.steps=2",
  "extension.1.steps=1",
  "learningRate.stages.0.tokens=1e4",
  "mtp.changeTokens=1e4",
];
const SMALL_RL = ["steps=1", "problems=2", "group=4", "maxTokens=32", "gateSamples=16", "evaluate.problems=4"];
const RL = ["problems=16", "group=16", "maxTokens=256", "evaluate.everySteps=10", "evaluate.problems=100"];

const STAGES: Stage[] = [
  // What it reads: arithmetic, small talk and conversations that Sumbi makes, some English, and searches for Countdown, alone and late in a conversation.
  texts("searches", "countdown-3", [30_000, 100], "--long", "0.8"),
  texts("late-searches", "countdown-3", [5_000, 20], "--long", "1", "--turns", "8", "--seed", "2"),
  // Tokenizer and pretraining, then the length that people chat at: V3's two phases.
  model(
    "base",
    "tokenizer, pretraining and extension to 1,024 tokens",
    ["train", "reasoner"],
    ["--no-web", "--data", ...(small ? SMALL_CHAT : CHAT), at("searches.jsonl"), at("late-searches.jsonl")],
    small ? SMALL_TRAINING : [],
  ),
  evaluation("base", "countdown-3", [200, 4]),
  // R1's first stage: a little supervised training on long thoughts, so that thinking is the habit before it is rewarded.
  model(
    "cold",
    "cold start: supervised on worked answers alone",
    ["reason", "sft"],
    ["--model", at("base"), "--task", "countdown-3"],
    small ? ["texts=40", "epochs=1"] : ["texts=2000", "epochs=1", "learningRate=2e-4"],
  ),
  evaluation("cold", "countdown-3", [200, 4]),
  // The second: reinforcement on what a rule can check. Forced past the gate, which asks whether thinking pays where a glance would do: here all
  // think, and how often they are right is what is to rise. Paid is what is right by a working that is true: of answers alone workings get less true.
  model(
    "first",
    "reinforcement (GRPO) on right answers",
    ["reason", "zero", "--force"],
    ["--model", at("cold"), "--task", "countdown-3"],
    small ? SMALL_RL : [...RL, "steps=24", "learningRate=1e-4", "weights.answer=0", "weights.sound=1"],
  ),
  evaluation("first", "countdown-3", [200, 4]),
  // The third: answers of the reinforced model that are verified, and conversations of all kinds, so that it does not forget how to talk.
  {
    name: "samples",
    about: "rejection sampling: the shortest answers that are right by workings that are true",
    command: [
      ...["reason", "sample", "--model", at("first"), "--task", "countdown-3", "--n", size(1200, 8), "--k", "4"],
      ...["--want", "format=1", "sound=1", "--max-tokens", size(256, 32), "--out", at("kept.jsonl")],
    ],
    makes: at("kept.jsonl"),
  },
  {
    name: "chats",
    about: "conversations to fine-tune on",
    command: ["scripts/speedrun/chats.ts", at("chats.jsonl"), size(1600, 20)],
    makes: at("chats.jsonl"),
  },
  model(
    "sft",
    "supervised on verified samples and conversations",
    ["reason", "sft"],
    // in miniature nothing is right, and nothing kept
    ["--model", at("first"), "--data", ...(small ? [] : [at("kept.jsonl")]), at("chats.jsonl")],
    // a conversation in some hundreds is longer than the context
    ["epochs=1", "broken=skip", small ? "batch=8" : "learningRate=2e-4"],
  ),
  evaluation("sft", "countdown-3", [200, 4]),
  // The fourth: reinforcement on all that is to be reasoned about.
  model(
    "final",
    "reinforcement on searches and products",
    ["reason", "zero", "--force"],
    ["--model", at("sft"), "--task", "countdown-3+product-2x2"],
    small ? SMALL_RL : [...RL, "steps=12", "learningRate=5e-5", "weights.sound=1", "seed=2"],
  ),
  evaluation("final", "countdown-3", [300, 8]),
  bench("final", "arithmetic", [400, 4]),
  bench("final", "conversation", [20, 1], "--turns", size(10, 2)),
];

const MODELS = ["base", "cold", "first", "sft", "final"];

const ledgerPath = at("ledger.json");

function openLedger(): Ledger {
  if (!existsSync(out)) mkdirSync(out, { recursive: true });
  else if (!existsSync(ledgerPath) && readdirSync(out).length > 0)
    throw new Error(
      `${out}: expected a folder of the speedrun or none, got one with other files; name another with --out`,
    );
  if (!existsSync(ledgerPath)) return { small, cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, stages: {} };
  const ledger = ledgerSchema.parse(JSON.parse(readFileSync(ledgerPath, "utf8")));
  if (ledger.small !== small) throw new Error(`${out}: began ${ledger.small ? "with" : "without"} --small; go on so`);
  return ledger;
}

function keep(ledger: Ledger): void {
  writeFileSync(`${ledgerPath}.part`, `${JSON.stringify(ledger, null, 2)}\n`);
  renameSync(`${ledgerPath}.part`, ledgerPath);
}

/** The run that a stage began and did not end, if a state of it was saved. */
function begunRun(runs: string): string | undefined {
  if (!existsSync(runs)) return undefined;
  return readdirSync(runs)
    .sort()
    .reverse()
    .find((id) => existsSync(join(runs, id, "state")) && readdirSync(join(runs, id, "state")).length > 0);
}

/** The command as it is called now: from the beginning, or going on with its run. */
function callOf({ command, run, name }: Stage): string[] {
  if (!run) return command;
  const runs = at(`runs/${name}`);
  const begun = begunRun(runs);
  if (begun === undefined) return [...command, "--runs", runs];
  const rest = run[0] === "train" ? ["--no-web"] : [];
  return [...run.filter((word) => word !== "--force"), "--resume", begun, ...rest, "--out", at(name), "--runs", runs];
}

const NOTED_MS = 5000;

const root = fileURLToPath(new URL("..", import.meta.url));
const programOf = (first: string): string[] =>
  first.endsWith(".ts") ? ["--import", "tsx", join(root, first)] : [join(root, "bin/sumbi.js"), first];

/** Runs a stage, what it says on the screen and in a log. Gives its exit status. */
async function perform(stage: Stage): Promise<number> {
  const [first = "", ...rest] = callOf(stage);
  const log = createWriteStream(at(`logs/${stage.name.replaceAll(/[: ]+/g, "-")}.log`), { flags: "a" });
  const child = spawn(process.execPath, [...programOf(first), ...rest], { stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => {
    if (stage.prints) printed += chunk.toString();
    else process.stdout.write(chunk);
    log.write(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    process.stderr.write(chunk);
    log.write(chunk);
  });
  const status = await new Promise<number>((done) => child.on("close", (code) => done(code ?? 130)));
  log.end();
  if (status === 0 && stage.prints) {
    writeFileSync(`${stage.makes}.part`, printed);
    renameSync(`${stage.makes}.part`, stage.makes);
  }
  return status;
}

async function main(): Promise<number> {
  const ledger = openLedger();
  mkdirSync(at("logs"), { recursive: true });
  keep(ledger);
  // children get Ctrl-C too; they save, end, and so does this
  process.on("SIGINT", () => {});
  for (const [i, stage] of STAGES.entries()) {
    const begun = ledger.stages[stage.name] ?? { seconds: 0, calls: [], done: false };
    if (begun.done) continue;
    process.stderr.write(`\n[${i + 1}/${STAGES.length}] ${stage.name}: ${stage.about}\n`);
    const finished = stage.run !== undefined && existsSync(stage.makes);
    if (!stage.run && !stage.prints) rmSync(stage.makes, { force: true });
    const calls = finished ? begun.calls : [...begun.calls, callOf(stage).join(" ")];
    const began = performance.now();
    const note = (done: boolean): void => {
      const seconds = begun.seconds + (performance.now() - began) / 1000;
      ledger.stages[stage.name] = { seconds, calls, done };
      keep(ledger);
    };
    // so that the time of what is killed counts too
    const clock = setInterval(() => note(false), NOTED_MS);
    const status = finished ? 0 : await perform(stage);
    clearInterval(clock);
    note(status === 0);
    if (status !== 0) {
      process.stderr.write(`${stage.name}: ended with status ${status}; the same command goes on from here\n`);
      return status;
    }
  }
  const report = reportOf(ledger, out, MODELS);
  writeFileSync(at("report.md"), report);
  process.stdout.write(`${report}\n${at("report.md")}\n`);
  return 0;
}

process.exitCode = await main();
