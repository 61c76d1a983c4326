// A model of a published shape with random weights in bf16, written to disk as a Hugging Face folder: for measuring memory, starts and speed, not for
// talking to. Tensor by tensor, so that its size does not matter.
//   npx tsx scripts/random-model.ts qwen2.5-1.5b OUT [--layers N] [--experts N]
// A tokenizer is not written; bench/memory.ts and bench/decode.ts need none.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type RawTensor, writeSafetensors } from "../src/checkpoint/index.ts";
import { listParameters, presetConfig } from "../src/model/index.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { layers: { type: "string" }, experts: { type: "string" } },
});
const [name, out] = positionals;
if (name === undefined || out === undefined || existsSync(out))
  throw new Error(
    "expected a preset's name and a folder that is not there yet: scripts/random-model.ts qwen2.5-1.5b OUT",
  );
const preset = presetConfig(name);
const config = {
  ...preset,
  ...(values.layers ? { num_hidden_layers: Number(values.layers) } : {}),
  ...(values.experts ? { n_routed_experts: Number(values.experts) } : {}),
};

/** bf16 numbers of both signs, most of them within ±0.06: their bytes are drawn, the exponent kept among eight. */
function randomBits(count: number, state: { seed: number }): Uint16Array {
  const bits = new Uint16Array(count);
  let x = state.seed;
  for (let i = 0; i < count; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    const drawn = x >>> 16;
    bits[i] = (drawn & 0x807f) | ((115 + ((drawn >> 7) & 7)) << 7);
  }
  state.seed = x;
  return bits;
}

mkdirSync(out);
const state = { seed: 1 };
const tensors = [...listParameters(config)].map(({ key, shape }): RawTensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  const one = 0x3f80;
  return {
    key,
    dtype: "bf16",
    shape,
    bytes: () => {
      const bits = /norm\.weight$/.test(key) ? new Uint16Array(size).fill(one) : randomBits(size, state);
      return new Uint8Array(bits.buffer);
    },
  };
});
await writeSafetensors(join(out, "model.safetensors"), tensors);
writeFileSync(join(out, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
