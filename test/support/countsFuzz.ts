/**
 * Child process of test/counts.test.ts: asks the verbs for models, questions, claims and recipes whose counts are anything from nothing to absurd.
 * `countsFuzz.ts FOLDER SEED CASES`; prints `began {…}` before each case and `ended CODE SECONDS` (of the processor) after it, or `threw STACK`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../../src/cli/main.ts";
import { SumbiError } from "../../src/errors.ts";
import { openDecoder } from "../../src/infer/index.ts";
import { checkGraphSize, parseConfig } from "../../src/model/index.ts";
import { PRESETS } from "../../src/model/presets.ts";
import { CLAIMS } from "../../src/plan/claims/index.ts";
import {
  applySettings,
  knobsAt,
  leastActivationBytes,
  parameterBytes,
  parseRecipe,
  phasesOf,
} from "../../src/train/index.ts";

const [folder = ".", seedText = "1", casesText = "20"] = process.argv.slice(2);
let state = Number(seedText) >>> 0;
const random = (): number => {
  state = (state + 0x9e3779b9) >>> 0;
  let z = state;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
};
const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
const often = (share: number): boolean => random() < share;

const COUNTS = [
  0,
  1,
  2,
  3,
  5,
  7,
  64,
  128,
  1000,
  4096,
  65_536,
  1_000_003,
  73_513_440,
  2 ** 31,
  1e9,
  1e12,
  1e15,
  2 ** 53 - 111,
  2 ** 53 - 1,
  1e30,
  1e300,
];
const NONSENSE: unknown[] = [-1, 1.5, "8", null, true, [], {}];
const count = (): unknown => (often(0.9) ? pick(COUNTS) : pick(NONSENSE));
const flagCount = (): string => String(often(0.9) ? pick(COUNTS) : pick(["-1", "1.5", "x", "1e400", "∞", ""]));

/** A JSON object with some of its numbers, at any depth, replaced by counts. */
function shaken(value: unknown, share: number): unknown {
  if (Array.isArray(value)) return value.map((inner) => shaken(inner, share));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shaken(inner, share)]));
  return typeof value === "number" && often(share) ? count() : value;
}

const file = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
};
/** A model that may be refused, or one that may not: sizes from one to the largest that a config.json may say. */
const model = (): unknown => (often(0.3) ? shaken(pick(Object.values(PRESETS)).config, pick([0.1, 0.3])) : valid());
function valid(): Record<string, unknown> {
  const { config } = pick(Object.values(PRESETS));
  const heads = pick([1, 8, 128, 4096, 2 ** 30]);
  const sizes: Record<string, unknown> = {
    vocab_size: pick([1, 129_280, 1e9, 2 ** 53 - 1]),
    hidden_size: pick([1, 64, 7168, 1e6]) * heads,
    intermediate_size: pick([1, 18_432, 1e9]),
    num_hidden_layers: pick([1, 61, 1000, 4096]),
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: pick([1, 4096, 2 ** 53 - 1]),
    head_dim: 64,
  };
  if ("kv_lora_rank" in config)
    Object.assign(sizes, {
      n_routed_experts: pick([1, 64, 256, 65_536]),
      num_experts_per_tok: 1,
      n_group: 1,
      topk_group: 1,
      n_shared_experts: pick([0, 1, 1e6]),
      moe_intermediate_size: pick([1, 2048, 1e9]),
      first_k_dense_replace: pick([0, 3, 1e9]),
    });
  return { ...config, ...Object.fromEntries(Object.entries(sizes).filter(() => often(0.8))) };
}
const flags = (names: readonly string[]): string[] =>
  names.flatMap((name) => (often(0.3) ? [`--${name}`, flagCount()] : []));

const question = (): string[] => {
  const goal = pick(["gpus", "gpus", "gpus", "days", "budget"]);
  const layout = often(0.4)
    ? [
        "--layout",
        ["pp", "tp", "ep", "dp", "cp", "vp", "microBatch"]
          .filter(() => often(0.3))
          .map((key) => `${key}=${often(0.6) ? pick([1, 2, 8]) : flagCount()}`)
          .join(",") || "pp=2",
      ]
    : [];
  return [
    "--tokens",
    often(0.7) ? "1T" : flagCount(),
    `--${goal}`,
    often(0.6) ? pick(["8", "64", "2048", "1000000"]) : flagCount(),
    ...layout,
    ...flags(often(0.5) ? [] : ["sequence", "batch", "price", "imbalance", "network", "goodput"]),
    ...(often(0.5) ? ["--schedule", pick(["1f1b", "interleaved", "zero-bubble", "dualpipe", "dualpipev"])] : []),
  ];
};

/** One case: what is said of it, and what it does. */
function next(): { says: unknown; run: () => Promise<unknown> } {
  const verb = pick(["inspect", "inspect", "plan", "plan", "compare", "audit", "recipe", "recipe", "folder"]);
  if (verb === "inspect") return command(["inspect", file("config.json", model()), "--sequence", flagCount()]);
  if (verb === "plan")
    return command([
      "plan",
      often(0.5) ? file("config.json", model()) : pick(["deepseek-v3", "llama-3.1-8b", "qwen3-8b"]),
      "--chip",
      pick(["h800", "h20", "rtx-4090"]),
      ...question(),
      ...(often(0.2) ? ["--serving"] : []),
      ...(often(0.2) ? ["--timeline", join(folder, "t.svg")] : []),
    ]);
  if (verb === "compare")
    return command([
      "compare",
      file("config.json", model()),
      "--chips",
      "h800,a100-80",
      ...question().filter((_, i, all) => all[i] !== "--layout" && all[i - 1] !== "--layout"),
    ]);
  if (verb === "audit")
    return command(["audit", file("claim.json", shaken(pick(Object.values(CLAIMS)), pick([0.05, 0.3])))]);
  if (verb === "folder") {
    const from = join("test/fixtures/parity", pick(["deepseek_v3", "qwen3"]));
    const json = shaken(JSON.parse(readFileSync(join(from, "config.json"), "utf8")), 0.2);
    return {
      says: { folder: from, config: json },
      run: async () => (await openDecoder(from, parseConfig(json))).dispose(),
    };
  }
  const base = {
    name: "fuzz",
    model: often(0.5) ? valid() : PRESETS["deepseek-v3"]?.config,
    data: {},
    tokens: 14.8e12,
    sequence: 4096,
    batch: { start: 3072, end: 15_360, rampTokens: 469e9 },
    microBatch: 1,
    learningRate: {
      warmupSteps: 2000,
      stages: [{ from: 2.2e-4, tokens: 10e12 }, { to: 2.2e-5, shape: "cosine", tokens: 4.3e12 }, { from: 7.3e-6 }],
    },
    lanes: 1,
    extension: [
      {
        sequence: 32_768,
        steps: 1000,
        batch: 1920,
        learningRate: 7.3e-6,
        ropeScaling: { type: "yarn", factor: 40, original_max_position_embeddings: 4096 },
      },
    ],
  };
  const settings = [
    "tokens",
    "batch.rampTokens",
    "batch.start",
    "batch.end",
    "microBatch",
    "sequence",
    "lanes",
    "learningRate.warmupSteps",
  ]
    .filter(() => often(0.4))
    .map((key) => `${key}=${flagCount()}`);
  return {
    says: { recipe: base.model, settings },
    run: async () => {
      const recipe = parseRecipe(applySettings(base, settings));
      const phases = phasesOf(recipe, recipe.model as Record<string, unknown>);
      const numbers = [parameterBytes(phases, recipe), leastActivationBytes(phases)];
      for (const phase of phases)
        numbers.push(phase.toStep, ...Object.values(knobsAt(recipe, phase, phase.fromStep, recipe.tokens / 2)));
      if (!numbers.every((n) => Number.isFinite(n) && n >= 0)) throw new Error(`not a count: ${numbers.join(", ")}`);
      for (const { config } of phases) checkGraphSize(config);
    },
  };
}

const command = (argv: string[]) => ({
  says: { argv, config: read(argv) },
  run: () => main(["node", "sumbi", ...argv]),
});
const read = (argv: string[]): unknown => {
  const path = argv.find((word) => word.endsWith(".json"));
  return path === undefined ? undefined : JSON.parse(readFileSync(path, "utf8"));
};

let said = "";
process.stdout.write = (text: string | Uint8Array) => ((said += String(text)), true);
process.stderr.write = () => true;
const out = (text: string) =>
  void Reflect.apply(Object.getPrototypeOf(process.stdout).write, process.stdout, [`${text}\n`]);

for (let i = 0; i < Number(casesText); i++) {
  const { says, run } = next();
  out(`began ${JSON.stringify(says)}`);
  said = "";
  const start = process.cpuUsage();
  const seconds = () => (process.cpuUsage(start).user / 1e6).toFixed(1);
  try {
    const code = await run();
    if (/\bNaN\b|\bundefined\b/.test(said))
      out(`threw it says NaN or undefined: ${JSON.stringify(/.*(?:NaN|undefined).*/.exec(said)?.[0])}`);
    out(`ended ${String(code)} ${seconds()}`);
  } catch (error) {
    out(error instanceof SumbiError ? `ended refused ${seconds()}` : `threw ${(error as Error).stack}`);
  }
  process.exitCode = 0;
}
out("finished");
