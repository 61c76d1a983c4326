// Everything that reads what somebody else wrote: its valid files, and how the program takes them in.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dequantize } from "../../src/checkpoint/gguf/dequantize.ts";
import { readGgufHeader } from "../../src/checkpoint/gguf/header.ts";
import { openCheckpoint, TensorFolder, type Tensors } from "../../src/checkpoint/index.ts";
import { main } from "../../src/cli/main.ts";
import { loadTokenizer, openDataset, readDocuments } from "../../src/data/index.ts";
import { SumbiError } from "../../src/errors.ts";
import { prepareRun, RunReader, readRecipe, StateHistory } from "../../src/runs/index.ts";
import { storageOf } from "../../src/runs/storage.ts";
import { createApp, listen, type RunningServer } from "../../src/serve/index.ts";
import { loadModel } from "../../src/serve/load.ts";
import { applySettings, batchAt, parseRecipe, phasesOf, pretrainingSteps, storeOf } from "../../src/train/index.ts";
import { fakeModel, served } from "../support/fake-model.ts";
import {
  bodySeeds,
  chipSeeds,
  claimSeeds,
  configSeeds,
  datasetSeeds,
  documentSeeds,
  ggufSeeds,
  modelSeeds,
  recipeSeeds,
  runSeeds,
  type Seed,
  SMALL,
  stateSeeds,
  tokenizerSeeds,
  trainingSeeds,
  weightSeeds,
} from "./seeds.ts";

/** A thing that went wrong and is no refusal. */
export class Fault extends Error {}

export interface Loader {
  name: string;
  /** Of a hundred inputs, how many are for it. */
  share: number;
  seeds(): Seed[] | Promise<Seed[]>;
  /** Takes the folder in. Throws SumbiError when it refuses, anything else is a fault. */
  load(dir: string): Promise<void>;
}

/** A command line as a user types it. */
async function sumbi(...args: string[]): Promise<void> {
  const said: string[] = [];
  const { write } = process.stderr;
  process.stderr.write = ((text: string | Uint8Array) => said.push(String(text)) > 0) as typeof write;
  let status: number;
  try {
    status = await main(["node", "sumbi", ...args]);
  } finally {
    process.stderr.write = write;
    process.exitCode = undefined;
  }
  const text = said.join("");
  if (/^\s+at .+:\d+/m.test(text)) throw new Fault(`sumbi ${args.join(" ")}: printed a stack: ${text.slice(0, 2_000)}`);
  if (status !== 0) throw new SumbiError(text || "(nothing)");
}

const MESSAGES = [
  { role: "system", content: "Be short." },
  { role: "user", content: "Hello, what is 12 × 7? don't say <｜User｜>" },
  { role: "assistant", content: "84", reasoning_content: "twelve times seven" },
  { role: "user", content: "and +1?" },
];
const TEXT =
  "Hello, World! It's 1234567 o'clock — naïve café \u{1F600}\n\n\tEND <｜User｜> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";

/** All tensors, as numbers. */
async function readAll(folder: Tensors): Promise<void> {
  try {
    for (const key of folder.keys())
      await (folder.info(key).dtype.startsWith("i") || ["u8", "bool"].includes(folder.info(key).dtype)
        ? folder.read(key)
        : folder.readF32(key));
  } finally {
    await folder.close();
  }
}

/** The tensors of a GGUF file that is no model, as numbers. */
function decodeAll(path: string): void {
  const file = readFileSync(path);
  for (const { begin, bytes, type, shape } of readGgufHeader(path).tensors.values())
    dequantize(type.name, file.subarray(begin, begin + bytes), new Float32Array(shape.reduce((a, b) => a * b, 1)));
}

/** A server before a model that babbles, started when first asked. */
let server: Promise<RunningServer> | undefined;
let internal: unknown;
const serving = (): Promise<RunningServer> =>
  (server ??= listen(
    createApp({
      model: served(fakeModel((tokens) => (tokens.length * 7) % 256)),
      onError: (error) => void (internal = error),
    }),
    { host: "127.0.0.1", port: 0 },
  ));

/** Sends a body and reads the answer to its end: 400 and the like are refusals, 500 is a fault. */
async function post(path: string, body: Uint8Array): Promise<void> {
  const { url } = await serving();
  internal = undefined;
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: body as Uint8Array<ArrayBuffer>,
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  if (internal !== undefined) throw internal;
  if (response.status >= 500 && response.status !== 503)
    throw new Fault(`${path}: ${response.status}: ${text.slice(0, 500)}`);
  if (
    response.status >= 400 &&
    typeof (JSON.parse(text) as { error?: { message?: unknown } }).error?.message !== "string"
  )
    throw new Fault(`${path}: ${response.status} without an error object: ${text.slice(0, 500)}`);
  const health = await fetch(`${url}/health`);
  if (health.status !== 200) throw new Fault(`/health: ${health.status}`);
  await health.text();
  if (response.status >= 400) throw new SumbiError(text);
}

const ROOT = process.cwd();
const RUN = "20261101-120000-small";

export const LOADERS: Loader[] = [
  {
    name: "weights",
    share: 13,
    seeds: weightSeeds,
    async load(dir) {
      await readAll(existsSync(join(dir, "config.json")) ? await openCheckpoint(dir) : await TensorFolder.open(dir));
    },
  },
  {
    name: "gguf",
    share: 6,
    seeds: ggufSeeds,
    async load(dir) {
      const [name = ""] = readdirSync(dir);
      const path = join(dir, name);
      if (name === "types.gguf") return decodeAll(path);
      if (name === "tokenizer.gguf") loadTokenizer(path).encode(TEXT);
      else {
        await readAll(await openCheckpoint(path));
        await sumbi("inspect", path);
      }
    },
  },
  {
    name: "config",
    share: 12,
    seeds: configSeeds,
    load: (dir) => sumbi("inspect", dir),
  },
  {
    name: "plan",
    share: 4,
    seeds: chipSeeds,
    load: (dir) =>
      sumbi(
        "plan",
        join(dir, "config.json"),
        "--chip",
        join(dir, "chip.json"),
        "--tokens",
        "10B",
        "--gpus",
        "16",
        "--batch",
        "64",
        "--owned",
        "--purchase",
        "30000",
      ),
  },
  {
    name: "claim",
    share: 4,
    seeds: claimSeeds,
    load: (dir) => sumbi("audit", join(dir, "claim.json"), "--full"),
  },
  {
    name: "tokenizer",
    share: 14,
    seeds: tokenizerSeeds,
    async load(dir) {
      const tokenizer = loadTokenizer(dir);
      const ids = tokenizer.encode(TEXT);
      tokenizer.decode(ids, { skipSpecial: true });
      tokenizer.encode(TEXT, { special: false });
      if (tokenizer.chatTemplate === undefined) return;
      for (const options of [{ addGenerationPrompt: true, thinking: true }, { keepThoughts: true }])
        tokenizer.encode(tokenizer.applyChatTemplate(MESSAGES, options));
    },
  },
  {
    name: "model",
    share: 4,
    seeds: modelSeeds,
    async load(dir) {
      const model = await loadModel(dir);
      try {
        const app = createApp({ model, onError: (error) => void (internal = error) });
        internal = undefined;
        const body = JSON.stringify({ messages: MESSAGES.slice(0, 2), max_tokens: 3 });
        const answer = await app.request("/v1/chat/completions", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        });
        await answer.text();
        if (internal !== undefined) throw internal;
      } finally {
        await model.engine.close();
      }
    },
  },
  {
    name: "recipe",
    share: 10,
    seeds: recipeSeeds,
    async load(dir) {
      const { json, path } = readRecipe(join(dir, "recipe.jsonc"));
      const recipe = parseRecipe(applySettings(json, ["seed=7", "adamw.beta2=0.99"]), path);
      for (const tokens of [0, recipe.tokens / 3, recipe.tokens]) batchAt(recipe, tokens);
      pretrainingSteps(recipe);
      if (typeof recipe.model !== "string") phasesOf(recipe, recipe.model);
    },
  },
  {
    name: "training",
    share: 2,
    seeds: trainingSeeds,
    async load(dir) {
      // The graph of a deep model takes its time: such a recipe is only read.
      const { json, path } = readRecipe(join(dir, "recipe.jsonc"));
      const { model } = parseRecipe(json, path);
      if (
        typeof model !== "string" &&
        Number(model["num_hidden_layers"]) * Number(model["n_routed_experts"] ?? 1) > 100
      )
        return;
      // Its text is named beside it; its memory is judged as on a small machine.
      process.availableMemory = () => 700e6;
      process.chdir(dir);
      try {
        const run = await prepareRun(
          join(dir, "recipe.jsonc"),
          { runs: join(dir, "runs"), out: join(dir, "out") },
          () => Promise.resolve(1e11),
          () => {},
        );
        await run.writer.close();
      } finally {
        process.chdir(ROOT);
      }
    },
  },
  {
    name: "run",
    share: 11,
    seeds: runSeeds,
    async load(dir) {
      const reader = new RunReader(dir);
      const app = createApp({ runs: reader, onError: (error) => void (internal = error) });
      internal = undefined;
      for (const path of ["/api/runs", `/api/runs/${RUN}`]) await (await app.request(path)).text();
      if (internal !== undefined) throw internal;
      await sumbi("runs", "--runs", dir);
      await sumbi("runs", "--runs", dir, RUN);
    },
  },
  {
    name: "state",
    share: 6,
    seeds: stateSeeds,
    async load(dir) {
      const { phases, binding } = SMALL;
      await storageOf({
        history: new StateHistory(join(dir, "state"), 2),
        store: storeOf(phases),
        phases,
        binding,
        from: 20,
      }).load(() => {});
    },
  },
  {
    name: "dataset",
    share: 4,
    seeds: datasetSeeds,
    async load(dir) {
      const dataset = openDataset(join(dir, "data"));
      for (const split of ["train", "heldout"] as const)
        if (dataset.tokens(split) > 0)
          for (const fimRate of [0, 0.5])
            dataset.batch({
              split,
              index: 1,
              batch: 2,
              sequence: 16,
              seed: 3,
              fimRate: dataset.json.special.fim ? fimRate : 0,
            });
    },
  },
  {
    name: "documents",
    share: 9,
    seeds: documentSeeds,
    async load(dir) {
      const read = async (onBroken: "skip" | "fail"): Promise<void> => {
        for await (const document of readDocuments([dir], { onBroken }))
          if ("text" in document && typeof document.text !== "string") throw new Fault("a document whose text is none");
      };
      // A broken row is left out by the one and refused by the other, which is as right.
      await read("fail").catch((error: unknown) => {
        if (!(error instanceof SumbiError)) throw error;
      });
      await read("skip");
    },
  },
  {
    name: "body",
    share: 7,
    seeds: bodySeeds,
    async load(dir) {
      const body = readFileSync(join(dir, "body.json"));
      // A body is one or the other only before it is changed.
      await post(body.includes("messages") ? "/v1/chat/completions" : "/v1/completions", body);
    },
  },
];
