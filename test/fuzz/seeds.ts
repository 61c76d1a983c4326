// Valid files to begin from: fixtures of the repository, and small ones made here the same way every time.
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "jsonc-parser";
import { saveCheckpoint } from "../../src/checkpoint/index.ts";
import { prepareData } from "../../src/data/index.ts";
import { listParameters, PRESETS, parseConfig } from "../../src/model/index.ts";
import { CLAIMS } from "../../src/plan/claims/index.ts";
import { RunWriter, StateHistory } from "../../src/runs/index.ts";
import { storageOf } from "../../src/runs/storage.ts";
import { parseRecipe, phasesOf, storeOf } from "../../src/train/index.ts";
import { stepRecords } from "../support/scripted.ts";
import { MODEL } from "../train/fixture.ts";
import type { FileKind } from "./mutate.ts";

/** A folder of valid files, by path within it, and those of them that are changed. */
export interface Seed {
  files: Record<string, Uint8Array>;
  changed: [path: string, kind: FileKind][];
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const encoder = new TextEncoder();
const json = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));

/** All files under a folder, but for those that `skip` names. */
function filesOf(dir: string, skip = /^$/): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || skip.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    files[
      path
        .slice(dir.length + 1)
        .split(sep)
        .join("/")
    ] = readFileSync(path);
  }
  return files;
}

/** Makes files in a folder of its own, which is gone afterwards. */
async function made(make: (dir: string) => Promise<void>): Promise<Record<string, Uint8Array>> {
  const dir = mkdtempSync(join(tmpdir(), "sumbi-fuzz-seed-"));
  try {
    await make(dir);
    return filesOf(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const parity = (name: string): Record<string, Uint8Array> =>
  filesOf(join(ROOT, "test/fixtures/parity", name), /reference|about/);

export function weightSeeds(): Seed[] {
  const shards = filesOf(join(ROOT, "src/checkpoint/fixtures/python"));
  return [
    ...["deepseek_v3", "qwen3"].map(
      (name): Seed => ({ files: parity(name), changed: [["model.safetensors", "safetensors"]] }),
    ),
    {
      files: shards,
      changed: [
        ["model.safetensors.index.json", "json"],
        ["model-00002-of-00002.safetensors", "safetensors"],
        ["config.json", "json"],
      ],
    },
  ];
}

/** Models, and a file whose tokenizer is taken in too. */
export const ggufSeeds = (): Seed[] =>
  ["deepseek_v3", "tokenizer-qwen2", "llama-llama3-rope", "qwen3", "types"].map((name): Seed => {
    const file = readFileSync(join(ROOT, "test/fixtures/gguf", `${name}.gguf`));
    const as = name.startsWith("tokenizer") ? "tokenizer.gguf" : name === "types" ? "types.gguf" : "model.gguf";
    return { files: { [as]: file }, changed: [[as, "gguf"]] };
  });

export function configSeeds(): Seed[] {
  const published = Object.values(PRESETS).map(({ config }) => json(config));
  const tested = readdirSync(join(ROOT, "test/fixtures/parity")).map((name) =>
    readFileSync(join(ROOT, "test/fixtures/parity", name, "config.json")),
  );
  return [...published, ...tested].map(
    (file): Seed => ({ files: { "config.json": file }, changed: [["config.json", "json"]] }),
  );
}

/** A chip of one's own. */
const CHIP = {
  id: "mine",
  name: "Mine",
  vendor: "NVIDIA",
  bf16FlopsPerSec: 1e15,
  fp8: true,
  eightBitOpsPerSec: 2e15,
  hbmBytes: 8e10,
  hbmBytesPerSec: 3e12,
  linkBytesPerSec: 9e11,
  linkedChips: 8,
  watts: 700,
};

export const chipSeeds = (): Seed[] =>
  ["llama-3.1-8b", "deepseek-v2-lite", "qwen3-8b"]
    .filter((name) => name in PRESETS)
    .map(
      (name): Seed => ({
        files: { "config.json": json((PRESETS[name] as { config: object }).config), "chip.json": json(CHIP) },
        changed: [
          ["config.json", "json"],
          ["chip.json", "json"],
        ],
      }),
    );

export const claimSeeds = (): Seed[] =>
  // R1's is the slowest, and comes last.
  [
    ...Object.values(CLAIMS).sort((a, b) => Number(a.name === "deepseek-r1") - Number(b.name === "deepseek-r1")),
    {
      name: "small",
      who: "somebody",
      date: "2025-01-01",
      model: "config.json",
      tokens: "1T",
      sequence: 4096,
      batch: 1024,
      chip: "h100",
      gpus: 256,
      phases: [{ kind: "pretrain", gpuHours: "180K" }],
    },
  ].map(
    (claim): Seed => ({
      files: {
        "claim.json": json(claim),
        "config.json": json((PRESETS["deepseek-v2-lite"] as { config: object }).config),
      },
      changed: [
        ["claim.json", "json"],
        ["claim.json", "json"],
        ["claim.json", "json"],
        ["config.json", "json"],
      ],
    }),
  );

const TOKENIZERS = ["v3", "digits"].map((name) => join(ROOT, "src/tokenizer/fixtures", name));

export function tokenizerSeeds(): Seed[] {
  return TOKENIZERS.map((dir): Seed => {
    const files = filesOf(dir, /expected/);
    const template = (JSON.parse(new TextDecoder().decode(files["tokenizer_config.json"])) as { chat_template: string })
      .chat_template;
    return {
      files: {
        ...files,
        "chat_template.jinja": encoder.encode(template),
        "generation_config.json": json({ eos_token_id: [1], do_sample: true, temperature: 0.7, top_p: 0.9 }),
      },
      changed: [
        ["tokenizer.json", "json"],
        ["tokenizer_config.json", "json"],
        ["chat_template.jinja", "template"],
        ["chat_template.jinja", "template"],
        ["generation_config.json", "json"],
      ],
    };
  });
}

/** A model of a few thousand parameters with a tokenizer: a whole folder to serve. */
export async function modelSeeds(): Promise<Seed[]> {
  const tokenizer = filesOf(TOKENIZERS[1] as string, /expected/);
  const { model } = JSON.parse(new TextDecoder().decode(tokenizer["tokenizer.json"])) as { model: { vocab: object } };
  const config = {
    ...MODEL,
    vocab_size: Math.ceil((Object.keys(model.vocab).length + 64) / 64) * 64,
    num_nextn_predict_layers: 0,
    max_position_embeddings: 256,
  };
  const own = {
    ...tokenizer,
    "generation_config.json": json({ eos_token_id: 1, temperature: 0.5 }),
    "examples.json": json(["What is 1 + 1?"]),
  };
  const files = await made((dir) =>
    saveCheckpoint(join(dir, "m"), {
      config,
      dtype: "f32",
      tensors: Array.from(listParameters(parseConfig(config)), ({ key, shape }) => {
        const size = shape.reduce((a, b) => a * b, 1);
        return {
          key,
          shape,
          data: Float32Array.from({ length: size }, (_, i) => 0.1 * Math.sin(i * 1.7 + key.length)),
        };
      }),
      files: own,
    }),
  );
  const folder = Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path.slice("m/".length), bytes]));
  return [
    {
      files: folder,
      changed: [
        ["config.json", "json"],
        ["config.json", "json"],
        ["tokenizer.json", "json"],
        ["tokenizer_config.json", "json"],
        ["generation_config.json", "json"],
        ["examples.json", "json"],
        ["model.safetensors", "safetensors"],
      ],
    },
  ];
}

export const recipeSeeds = (): Seed[] =>
  ["tiny", "text", "nano"].map((name): Seed => {
    const recipe = parse(readFileSync(join(ROOT, "recipes", `${name}.jsonc`), "utf8"), undefined, {
      allowTrailingComma: true,
    }) as object;
    return { files: { "recipe.jsonc": json(recipe) }, changed: [["recipe.jsonc", "json"]] };
  });

const small = {
  name: "small",
  model: { ...MODEL, vocab_size: 320 },
  tokens: 8 * 16 * 4,
  sequence: 16,
  batch: { end: 8 },
  data: { paths: ["text.txt"], holdout: 0.1 },
  learningRate: { stages: [{ from: 5e-3 }] },
};

/** A run of 25 steps that states are of. */
const running = parseRecipe({ ...small, tokens: 8 * 16 * 25 });
export const SMALL = {
  recipe: running,
  phases: phasesOf(running, running.model as Record<string, unknown>),
  binding: { tokenizer: "1".repeat(64), shards: "2".repeat(64), recipe: "3".repeat(64), layout: "4".repeat(64) },
};

/** A recipe with its text, small enough to be prepared whole. */
export const trainingSeeds = (): Seed[] => [
  {
    files: { "recipe.jsonc": json(small), "text.txt": encoder.encode(TEXT) },
    changed: [
      ["recipe.jsonc", "json"],
      ["recipe.jsonc", "json"],
      ["recipe.jsonc", "json"],
      ["text.txt", "bytes"],
    ],
  },
];

const TEXT = Array.from(
  { length: 60 },
  (_, i) =>
    `Line ${i} of a little book about the sea, ${i * 7} waves and ${i % 5} gulls.${i % 9 === 8 ? "\n\n<|endoftext|>\n" : ""}`,
).join("\n");

/** A run's folder with its log, a state and the data set it read. */
export async function runSeeds(): Promise<Seed[]> {
  const id = "20261101-120000-small";
  const files = await made(async (dir) => {
    const writer = await RunWriter.create(dir, {
      id,
      startedAt: "2026-11-01T12:00:00.000Z",
      recipeName: "small",
      recipe: small,
      parameters: { total: 10, active: 5 },
      machine: { cpu: "any", threads: 2, gemmFlopsPerSec: 1e11 },
      out: "models/small",
    });
    for (const step of [1, 2, 10, 50, 100])
      for (const record of stepRecords(step, 100, { layers: 2, experts: 4 })) writer.write(record);
    writer.write({ type: "event", step: 100, level: "warn", message: "a spike" });
    writer.write({ type: "end", step: 100, reason: "done" });
    await writer.close();
  });
  const owner = json({
    host: "elsewhere",
    boot: "another boot",
    pid: 1,
    started: "1",
    token: "t",
    at: 1_790_000_000_000,
    beats: 3,
    released: false,
  });
  return [
    {
      files: { ...files, [`${id}/writer-2.json`]: owner },
      changed: [
        [`${id}/run.json`, "json"],
        [`${id}/log.jsonl`, "jsonl"],
        [`${id}/log.jsonl`, "jsonl"],
        [`${id}/writer-2.json`, "json"],
      ],
    },
  ];
}

export async function stateSeeds(): Promise<Seed[]> {
  const { recipe, phases, binding } = SMALL;
  const store = storeOf(phases);
  store.initialize(recipe.seed, 0.05);
  const files = await made(async (dir) => {
    const average = Array.from({ length: 2 }, () => Array.from({ length: 8 }, () => 1));
    await storageOf({ history: new StateHistory(join(dir, "state"), 1), store, phases, binding }).save({
      step: 20,
      tokens: 2560,
      sequences: 160,
      averageLoss: 3.1,
      lossVariance: 0.1,
      spikes: 0,
      rollbacks: 0,
      seconds: 1.5,
      balance: { updates: 20, average },
    });
  });
  const changed = Object.keys(files).flatMap((path): [string, FileKind][] =>
    path.endsWith(".json")
      ? [
          [path, "json"],
          [path, "sealed"],
          [path, "sealed"],
          [path, "sealed"],
        ]
      : [[path, "safetensors"]],
  );
  return [{ files, changed }];
}

export async function datasetSeeds(): Promise<Seed[]> {
  const files = await made(async (dir) => {
    writeFileSync(join(dir, "text.txt"), TEXT);
    const { dataset } = await prepareData({
      paths: [join(dir, "text.txt")],
      tokenizerDir: TOKENIZERS[1] as string,
      cacheDir: join(dir, "cache"),
      holdout: 0.2,
      workers: 1,
    });
    dataset.close();
    renameSync(dataset.dir, join(dir, "data"));
    for (const name of ["text.txt", "cache"]) rmSync(join(dir, name), { recursive: true });
  });
  return [
    {
      files,
      changed: Object.keys(files).flatMap((path): [string, FileKind][] =>
        path.endsWith(".json")
          ? [
              [path, "json"],
              [path, "sealed"],
              [path, "sealed"],
            ]
          : [[path, "bytes"]],
      ),
    },
  ];
}

export function documentSeeds(): Seed[] {
  const parquet = filesOf(join(ROOT, "src/data/fixtures"), /\.(?!parquet$)[^.]*$/);
  const lines = [
    { text: "a first text" },
    { text: "a second\n\none" },
    {
      messages: [
        { role: "user", content: "hello" },
        { role: "assistant", content: "hi", reasoning_content: "greet" },
      ],
    },
  ];
  return [
    ...Object.entries(parquet)
      .filter(([name]) => name.endsWith(".parquet"))
      .map(([name, bytes]): Seed => ({ files: { [name]: bytes }, changed: [[name, "bytes"]] })),
    {
      files: { "a.jsonl": encoder.encode(lines.map((line) => `${JSON.stringify(line)}\n`).join("")) },
      changed: [["a.jsonl", "jsonl"]],
    },
    {
      files: { "a.jsonl": encoder.encode(lines.map((line) => `${JSON.stringify(line)}\n`).join("")) },
      changed: [["a.jsonl", "jsonl"]],
    },
    {
      files: { "a.txt": encoder.encode(TEXT), "b.md": encoder.encode(`# Head\n\n${TEXT}`) },
      changed: [
        ["a.txt", "bytes"],
        ["b.md", "bytes"],
      ],
    },
  ];
}

export const bodySeeds = (): Seed[] =>
  [
    {
      model: "fake",
      prompt: "Once",
      max_tokens: 4,
      temperature: 0.5,
      top_p: 0.9,
      logprobs: 2,
      stop: ["\n"],
      n: 2,
      seed: 1,
      logit_bias: { "50": -1 },
    },
    {
      model: "fake",
      prompt: [
        [1, 2, 3],
        [4, 5],
      ],
      max_tokens: 2,
      echo: true,
      stream: true,
      stream_options: { include_usage: true },
    },
    {
      model: "fake",
      messages: [
        { role: "system", content: "Be short." },
        { role: "user", content: [{ type: "text", text: "Hello" }] },
      ],
      max_tokens: 4,
      logprobs: true,
      top_logprobs: 2,
      thinking: { type: "enabled" },
      response_format: { type: "text" },
    },
    {
      model: "fake",
      messages: [
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Hi", reasoning_content: "greet" },
        { role: "user", content: "Bye" },
      ],
      max_completion_tokens: 3,
      stream: true,
      chat_template_kwargs: { thinking: false },
      tools: [],
      frequency_penalty: 1,
      presence_penalty: -1,
    },
  ].map((body): Seed => ({ files: { "body.json": json(body) }, changed: [["body.json", "json"]] }));
