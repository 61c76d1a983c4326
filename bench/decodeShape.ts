// Random weights of a shape: prefill, decoding alone and several at once, in turns with llama.cpp on a GGUF file of the same shape. That file is made by
//   npx tsx scripts/random-model.ts qwen2.5-1.5b /tmp/M && npx sumbi convert /tmp/M /tmp/M.gguf --type q4_0
//   npx tsx scripts/random-model.ts deepseek-v2-lite /tmp/M --experts 16 && npx sumbi convert /tmp/M /tmp/M.gguf --type q4_0     (for v2-lite-16)
// Ours goes through the whole engine, drawing included; llama.cpp draws nothing, and has its best number of threads for each figure. Ratios are of medians.
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { Decoder, ModelEngine, SAMPLING_DEFAULTS } from "../src/infer/index.ts";
import type { WeightsForm } from "../src/model/index.ts";
import { bytesPerToken, randomWeights, SHAPES, type Shape, shapeConfig } from "./shapes.ts";

export const SHAPE_WHAT = "decode and prefill of random weights";

export interface ShapeOptions {
  form?: WeightsForm;
  layers?: number;
  prompt: number;
  /** Tokens of the prompt whose reading is timed. */
  prefill: number;
  tokens: number;
  threads: number;
  rounds: number;
  python?: string;
  gguf?: string;
}

const SEVERAL = 4;
const FIGURES = ["prefill", "decode", "several"] as const;
/** Tokens per second. */
type Figures = Record<(typeof FIGURES)[number], number>;

interface Llama {
  shape: { layers: number; width: number };
  byThreads: Record<string, Record<keyof Figures, number[]>>;
  version: string;
  system: string;
}

export async function decodeShape(shape: Shape, options: ShapeOptions): Promise<object> {
  const { form = "q4", layers, prompt, prefill, tokens, threads, rounds, python, gguf } = options;
  const config = shapeConfig(shape, layers);
  const weights = randomWeights(config, form);
  const bytes = bytesPerToken(config, weights);
  const engine = new ModelEngine(await Decoder.create(config, weights, { frozen: true }), { prefillTokens: prefill });
  const measure = measurer(engine, config.vocab_size, { prompt, prefill, tokens });
  await measure();
  const ours: Figures[] = [];
  const peers: Llama[] = [];
  for (let i = 0; i < rounds; i++) {
    ours.push(await measure());
    if (python && gguf) peers.push(llama(python, gguf, { prefill, tokens, threads }));
    const { layers: their, width } = peers[0]?.shape ?? {};
    if (peers[0] && (their !== config.num_hidden_layers || width !== config.hidden_size))
      throw new Error(
        `${gguf}: expected ${config.num_hidden_layers} layers of width ${config.hidden_size}, got ${their} of ${width}`,
      );
    ours.push(await measure());
  }
  await engine.close();
  const sumbi = of((figure) => summary(ours.map((one) => one[figure])));
  const llamaCpp = peers[0] && of((figure) => bestThreads(peers, figure));
  return {
    shape,
    experts: SHAPES[shape].experts,
    layers: config.num_hidden_layers,
    weights: form,
    prompt,
    tokens,
    prefill,
    several: SEVERAL,
    threads,
    rounds,
    cpu: cpus()[0]?.model,
    sumbi: { ...sumbi, gigabytesPerSecond: tenths((sumbi.decode.median * bytes) / 1e9) },
    severalOverOne: hundredths(sumbi.several.median / sumbi.decode.median),
    ...(llamaCpp && peers[0]
      ? {
          llamaCpp: { ...llamaCpp, version: peers[0].version, system: peers[0].system },
          ratio: of((figure) => hundredths(sumbi[figure].median / llamaCpp[figure].median)),
        }
      : {}),
  };
}

/** One measurement through the engine: prompts that no cache knows, likeliest tokens. */
function measurer(
  engine: ModelEngine,
  vocabSize: number,
  { prompt, prefill, tokens }: Pick<ShapeOptions, "prompt" | "prefill" | "tokens">,
): () => Promise<Figures> {
  let seed = 0;
  const sampling = { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 };
  const drawn = (count: number) => Array.from({ length: count }, (_, i) => (i * 37 + 1013 * ++seed) % vocabSize);
  const since = (began: number) => (performance.now() - began) / 1000;
  /** Seconds from the first token to the last. */
  const answer = async (length: number, maxTokens: number): Promise<{ first: number; last: number }> => {
    let first = 0;
    for await (const _ of engine.generate({ prompt: drawn(length), maxTokens, sampling, stopIds: [] }))
      first ||= performance.now();
    return { first, last: performance.now() };
  };
  return async () => {
    const began = performance.now();
    await answer(prefill, 1);
    const read = prefill / since(began);
    const alone = await answer(prompt, tokens);
    const all = await Promise.all(Array.from({ length: SEVERAL }, () => answer(prompt, tokens)));
    const [from, to] = [Math.max(...all.map(({ first }) => first)), Math.max(...all.map(({ last }) => last))];
    return {
      prefill: read,
      decode: (1000 * (tokens - 1)) / (alone.last - alone.first),
      several: (1000 * SEVERAL * (tokens - 1)) / (to - from),
    };
  };
}

function llama(
  python: string,
  gguf: string,
  { prefill, tokens, threads }: Pick<ShapeOptions, "prefill" | "tokens" | "threads">,
): Llama {
  const script = fileURLToPath(new URL("peers/llama.py", import.meta.url));
  const tried = Array.from({ length: threads }, (_, i) => i + 1).join();
  const sizes = { prompt: prefill, tokens, sequences: SEVERAL, threads: tried, repeats: 1 };
  const args = Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const run = spawnSync(python, [script, gguf, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (run.status !== 0) throw new Error(`${python} ${script} ended with ${run.status}`);
  return JSON.parse(run.stdout) as Llama;
}

/** A figure with the number of threads that has the largest median. */
function bestThreads(peers: readonly Llama[], figure: keyof Figures) {
  const all = Object.keys(peers[0]?.byThreads ?? {}).map((threads) => ({
    ...summary(peers.flatMap(({ byThreads }) => byThreads[threads]?.[figure] ?? [])),
    threads: Number(threads),
  }));
  return all.sort((a, b) => b.median - a.median)[0]!;
}

function summary(values: readonly number[]): { median: number; best: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = 0, high = 0] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return { median: tenths((low + high) / 2), best: tenths(sorted.at(-1) ?? 0) };
}

const of = <T>(value: (figure: keyof Figures) => T) =>
  Object.fromEntries(FIGURES.map((figure) => [figure, value(figure)])) as Record<keyof Figures, T>;

const tenths = (x: number): number => Math.round(x * 10) / 10;
const hundredths = (x: number): number => Math.round(x * 100) / 100;
