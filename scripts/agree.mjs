// Does transformers agree with Sumbi on a model folder? Loads it in both, compares the logits of a text:
//   npm run build:lib && node scripts/agree.mjs models/nano --python python3
// Python needs torch and transformers. Prints the largest difference relative to the largest logit; exits with 1 above 1e-4.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadTokenizer } from "../dist/data/index.js";
import { openDecoder } from "../dist/infer/index.js";
import { parseConfig } from "../dist/model/index.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string", default: "python3" },
    text: { type: "string", default: "What is 347 + 586? The whale swam 12 miles." },
  },
});
const dir = positionals[0] ?? "models/nano";
const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
const ids = loadTokenizer(dir).encode(values.text);
const decoder = await openDecoder(dir, config);
const ours = Float32Array.from(await decoder.forward(ids, decoder.newCache(), { all: true }));
const script = `
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model, info = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32, output_loading_info=True)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
with torch.no_grad():
    logits = model(torch.tensor([json.loads(sys.argv[2])])).logits[0]
print(json.dumps({"class": type(model).__name__, "missing": sorted(info["missing_keys"]), "ids": tokenizer(sys.argv[3], add_special_tokens=False)["input_ids"], "logits": logits.flatten().tolist()}))
`;
const theirs = JSON.parse(
  execFileSync(values.python, ["-c", script, dir, JSON.stringify(ids), values.text], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "ignore"],
  }),
);
const largest = theirs.logits.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
const difference = theirs.logits.reduce((max, x, i) => Math.max(max, Math.abs(x - ours[i])), 0) / largest;
const sameIds = JSON.stringify(theirs.ids) === JSON.stringify(ids);
console.log(
  JSON.stringify({
    model: dir,
    class: theirs.class,
    tokens: ids.length,
    missingKeys: theirs.missing,
    sameTokenIds: sameIds,
    relativeDifference: difference,
  }),
);
process.exit(difference < 1e-4 && sameIds && theirs.missing.length === 0 ? 0 : 1);
