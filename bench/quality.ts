// What low-bit weights, and a cache in 8 bits, cost in quality: perplexity on real text and KL divergence from the f32 model, token by token:
//   npx tsx bench/quality.ts MODEL [--windows 20] [--length 512] [--beside FOLDER …] [--json FILE [--overwrite]]
// Half of the windows are of Moby-Dick, half of the State of the Union addresses, evenly spread, each read from an empty cache. `--beside` are
// the same model rounded by others, as f32 (scripts/gguf-to-folder.py --round Q4_0): llama.cpp's loss in weights.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { brotliDecompressSync } from "node:zlib";
import { loadWeights } from "../src/checkpoint/index.ts";
import { loadTokenizer } from "../src/data/index.ts";
import { BLOCK_TOKENS, Decoder, logSumExp } from "../src/infer/index.ts";
import {
  type CacheForm,
  EMBEDDING,
  parseConfig,
  type TensorForm,
  tensorForm,
  type WEIGHTS_FORMS,
} from "../src/model/index.ts";
import { resultFile } from "./result.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    windows: { type: "string", default: "20" },
    length: { type: "string", default: "512" },
    beside: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});
const dir = positionals[0]!;
const [windows, length] = [Number(values.windows), Number(values.length)];
const save = resultFile(values.json, "quality of low-bit weights", values.overwrite);

interface Variant {
  name: string;
  dir: string;
  form: (key: string, shape: readonly number[]) => TensorForm;
  cache?: CacheForm;
}
const all = (name: (typeof WEIGHTS_FORMS)[number]) => (key: string, shape: readonly number[]) =>
  tensorForm(name, key, shape);
const isEnd = (key: string) => key === EMBEDDING || key === "lm_head.weight";
const VARIANTS: Variant[] = [
  { name: "f32", dir, form: all("f32") },
  { name: "f32, cache in int8", dir, form: all("f32"), cache: "int8" },
  { name: "q8", dir, form: all("q8") },
  { name: "q4", dir, form: all("q4") },
  { name: "q4, embedding and head too", dir, form: (key, shape) => (isEnd(key) ? 4 : tensorForm("q4", key, shape)) },
  ...values.beside.map((other) => ({ name: `${basename(other)} in f32`, dir: other, form: all("f32") })),
];

async function main(): Promise<void> {
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const texts = readWindows();
  const decoders = [];
  for (const { dir, form, cache } of VARIANTS) {
    const { config: own, weights } = await loadWeights(dir, config, { form });
    decoders.push(await Decoder.create(own, weights, { frozen: true, cache, contextTokens: length }));
  }
  const table = Array.from({ length: Math.ceil(length / BLOCK_TOKENS) }, (_, i) => i + 1);
  for (const decoder of decoders) decoder.reserve(table.length);
  const sums = VARIANTS.map(() => ({ nll: 0, kl: 0, sameFirst: 0 }));
  let tokens = 0;
  for (const window of texts) {
    let reference: Float32Array | undefined;
    for (const [i, decoder] of decoders.entries()) {
      const line = { ids: window, start: 0, table, wants: "all" as const, temperature: 1 };
      const { logits } = await decoder.run({ kind: "read", lines: [line] });
      reference ??= logits;
      const sum = sums[i]!;
      for (let t = 0; t + 1 < window.length; t++) {
        const row = (of: Float32Array): Float32Array => of.subarray(t * config.vocab_size, (t + 1) * config.vocab_size);
        const [own, first] = [row(logits), row(reference)] as const;
        const [ownSum, firstSum] = [logSumExp(own), logSumExp(first)];
        sum.nll += ownSum - own[window[t + 1]!]!;
        let [ownBest, firstBest] = [0, 0];
        for (let v = 0; v < config.vocab_size; v++) {
          const logP = first[v]! - firstSum;
          sum.kl += Math.exp(logP) * (logP - (own[v]! - ownSum));
          if (own[v]! > own[ownBest]!) ownBest = v;
          if (first[v]! > first[firstBest]!) firstBest = v;
        }
        sum.sameFirst += Number(ownBest === firstBest);
      }
    }
    tokens += window.length - 1;
    process.stderr.write(".");
  }
  process.stderr.write("\n");
  const f32 = Math.exp(sums[0]!.nll / tokens);
  const forms = VARIANTS.map(({ name }, i) => {
    const { nll, kl, sameFirst } = sums[i]!;
    const perplexity = Math.exp(nll / tokens);
    return {
      form: name,
      perplexity: digits(perplexity, 6),
      overF32Percent: digits(100 * (perplexity / f32 - 1), 3),
      klNats: digits(kl / tokens, 3),
      sameLikeliestPercent: digits((100 * sameFirst) / tokens, 4),
    };
  });
  for (const decoder of decoders) decoder.dispose();
  const report = { model: basename(dir), cpu: cpus()[0]!.model, windows, length, tokens, forms };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  save(report);
}

const digits = (x: number, figures: number): number => Number(x.toPrecision(figures));

/** Windows of both works in turn, evenly spread over each. */
function readWindows(): number[][] {
  const tokenizer = loadTokenizer(dir);
  const works = ["moby-dick", "state-of-the-union"].map((name) => {
    const packed = readFileSync(new URL(`../data/${name}.json.br`, import.meta.url));
    const parts = JSON.parse(brotliDecompressSync(packed).toString()) as string[];
    return parts.join("\n\n");
  });
  const each = Math.ceil(windows / works.length);
  return Array.from({ length: windows }, (_, i) => {
    const work = works[i % works.length]!;
    const start = Math.floor((work.length * Math.floor(i / works.length)) / each);
    return tokenizer.encode(work.slice(start, start + 8 * length), { special: false }).slice(0, length);
  });
}

void main();
