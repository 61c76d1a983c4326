// Compares a GGUF file's logits and greedy tokens with llama.cpp's:  npx tsx scripts/agree-llama.ts MODEL.gguf --python P [--folder DIR] [--kept]
// P is a Python with llama-cpp-python. --folder computes with that Hugging Face folder's weights instead, --kept with the file's blocks as they are.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadWeights } from "../src/checkpoint/index.ts";
import { Decoder } from "../src/infer/index.ts";
import { parseConfig } from "../src/model/index.ts";
import { OneSequence } from "../test/support/sequence.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string", default: "python3" },
    folder: { type: "string" },
    kept: { type: "boolean", default: false },
    tokens: { type: "string", default: "24" },
  },
});
const [path] = positionals;
if (path === undefined) throw new Error("expected a GGUF file");

const PEER = `
import json, sys
import numpy as np
from llama_cpp import Llama
path, out, ids, count = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
model = Llama(path, n_ctx=len(ids) + count + 8, n_threads=2, logits_all=True, verbose=False, type_k=0, type_v=0)
model.eval(ids)
np.array(model.scores[:len(ids)], dtype=np.float32).tofile(out)
tokens = []
for _ in range(count):
    tokens.append(int(np.argmax(model.scores[model.n_tokens - 1])))
    model.eval(tokens[-1:])
print(json.dumps(tokens))
`;

const argmax = (row: Float32Array): number => row.reduce((best, x, i) => (x > row[best]! ? i : best), 0);
const logSoftmax = (row: Float32Array): Float64Array => {
  const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = Math.log(row.reduce((a, b) => a + Math.exp(b - most), 0)) + most;
  return Float64Array.from(row, (x) => x - sum);
};

const count = Number(values.tokens);
const { config, weights } = await loadWeights(values.folder ?? path, (json) => parseConfig(json, path), {
  form: () => (values.kept ? "kept" : "f32"),
});
const V = config.vocab_size;
// any ids will do, the same for both
const ids = Array.from({ length: 24 }, (_, i) => (i * 7919 + 13) % V);
const decoder = await Decoder.create(config, weights);
const sequence = new OneSequence(decoder);
const ours = (await sequence.forward(ids, { all: true })).slice();
const tokens: number[] = [];
for (let row = ours.subarray((ids.length - 1) * V); tokens.length < count; ) {
  tokens.push(argmax(row));
  row = await sequence.forward(tokens.slice(-1));
}
decoder.dispose();

const scratch = mkdtempSync(join(tmpdir(), "sumbi-agree-"));
const out = join(scratch, "logits");
const said = execFileSync(values.python, ["-c", PEER, path, out, JSON.stringify(ids), String(count)], {
  encoding: "utf8",
});
const theirTokens = JSON.parse(said.trim().split("\n").at(-1) ?? "[]") as number[];
const bytes = readFileSync(out);
rmSync(scratch, { recursive: true });
const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

let worst = 0;
let kl = 0;
for (let i = 0; i < ours.length; i++) worst = Math.max(worst, Math.abs(ours[i]! - theirs[i]!));
for (let t = 0; t < ids.length; t++) {
  const [p, q] = [ours, theirs].map((all) => logSoftmax(all.subarray(t * V, (t + 1) * V)));
  kl += p!.reduce((sum, x, v) => sum + Math.exp(x) * (x - q![v]!), 0) / ids.length;
}
const same = tokens.findIndex((token, i) => token !== theirTokens[i]);
const scale = ours.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
console.log(JSON.stringify({ model: path, worst: worst / scale, kl, greedy: same < 0 ? count : same, of: count }));
