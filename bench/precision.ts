// How far low-precision training's gradients are from f32's at a trained model, by parameter: npx tsx bench/precision.ts models/nano
//   [--sequences 4] [--length 256] [--batches 4] [--json FILE [--overwrite]]
// ‖Δg‖ / ‖g‖ over all weights' gradients of the loss on generated problems, fp8 and int8, each as training computes it; and the same by kind of weight.
import { parseArgs } from "node:util";
import { openCheckpoint } from "../src/checkpoint/index.ts";
import { arithmeticDocument, loadTokenizer } from "../src/data/index.ts";
import { mtpDepth } from "../src/model/index.ts";
import { compile } from "../src/runtime/index.ts";
import * as t from "../src/tensor/index.ts";
import {
  byteRange,
  parametersOf,
  parseRecipe,
  phasesOf,
  pretraining,
  storeOf,
  traceTraining,
  WeightQuantizer,
} from "../src/train/index.ts";
import { resultFile } from "./result.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sequences: { type: "string", default: "4" },
    length: { type: "string", default: "256" },
    batches: { type: "string", default: "4" },
    json: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});
const [folder = "models/nano"] = positionals;
const save = resultFile(values.json, "gradients in low precision beside f32", values.overwrite);
const [sequences, length, batches] = [values.sequences, values.length, values.batches].map(Number) as [
  number,
  number,
  number,
];

const checkpoint = await openCheckpoint(folder);
const recipe = parseRecipe({
  name: "precision",
  model: checkpoint.config,
  data: {},
  tokens: 1e9,
  sequence: length,
  batch: { end: sequences },
  learningRate: { stages: [{ from: 1e-3 }] },
});
const phase = phasesOf(recipe, recipe.model as Record<string, unknown>)[0]!;
const store = storeOf([phase]);
for (const key of store.keys())
  (store.parameter(key).data as Float32Array).set((await checkpoint.readF32(key)).data as Float32Array);
await checkpoint.close();

const tokenizer = loadTokenizer(folder);
const width = length + 1 + mtpDepth(phase.config);
const ids: number[] = [];
for (let i = 0; ids.length < batches * sequences * width; i++)
  ids.push(...tokenizer.encodeChat(arithmeticDocument(5, i).messages, { keepThoughts: true }).ids);

type Gradients = Record<string, t.HostTensor>;
async function gradientsIn(precision: "f32" | "fp8" | "int8"): Promise<Gradients[]> {
  const range = await byteRange();
  const { onnx } = traceTraining(phase, pretraining(recipe.balance), { precision, range });
  const quantizer = await WeightQuantizer.create(onnx, store, range);
  await quantizer.run();
  const executable = await compile(onnx.bytes, { name: precision });
  const feeds: Record<string, t.HostTensor> = {
    ...parametersOf(onnx, store),
    ...quantizer.tensors,
    lambda: t.f32([], [0.3]),
    share: t.f32([], [1]),
  };
  const out: Gradients[] = [];
  for (let b = 0; b < batches; b++) {
    const own = ids.slice(b * sequences * width, (b + 1) * sequences * width);
    out.push(await executable.run({ ...feeds, ids: t.i64([sequences, width], own) }));
  }
  executable.dispose();
  quantizer.dispose();
  return out;
}

/** ‖a − b‖ / ‖b‖ over the gradients that `counts` chooses, mean over the batches. */
function apart(a: Gradients[], b: Gradients[], counts: (name: string) => boolean): number {
  const ratios = b.map((exact, i) => {
    let [difference, size] = [0, 0];
    for (const name of Object.keys(exact).filter((key) => key.startsWith("d ") && counts(key)))
      exact[name]!.data.forEach((value: number | bigint, j: number) => {
        difference += (Number(a[i]![name]!.data[j]) - Number(value)) ** 2;
        size += Number(value) ** 2;
      });
    return Math.sqrt(difference / size);
  });
  return ratios.reduce((x, y) => x + y) / ratios.length;
}

const exact = await gradientsIn("f32");
const kindOf = (name: string): string =>
  name
    .replace(/^d .*layers\.\d+\./, "")
    .replace(/^d /, "")
    .replace(/experts\.\d+/, "experts.*")
    .replace(/\.weight$/, "");
const kinds = [
  ...new Set(
    Object.keys(exact[0]!)
      .filter((name) => name.startsWith("d "))
      .map(kindOf),
  ),
].sort();
const result: Record<string, unknown> = { model: folder, sequences, length, batches };
for (const precision of ["fp8", "int8"] as const) {
  const found = await gradientsIn(precision);
  const round = (x: number) => Math.round(1e4 * x) / 1e4;
  result[precision] = {
    all: round(apart(found, exact, () => true)),
    kinds: Object.fromEntries(kinds.map((kind) => [kind, round(apart(found, exact, (name) => kindOf(name) === kind))])),
  };
}
save(result);
console.log(JSON.stringify(result, null, 2));
process.exit(0);
