// Compares the samples that two lm-evaluation-harness runs logged: log likelihoods by their largest difference, texts by equality.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [left, right] = process.argv.slice(2).map((dir) => {
  const samples = new Map();
  for (const name of readdirSync(dir, { recursive: true })) {
    const task = /samples_(.+)_\d{4}-/.exec(name)?.[1];
    if (!task) continue;
    for (const line of readFileSync(join(dir, name), "utf8").trim().split("\n")) {
      const sample = JSON.parse(line);
      samples.set(`${task} ${sample.doc_id}`, sample.resps.flat());
    }
  }
  return samples;
});

let likelihoods = 0,
  texts = 0,
  different = 0,
  worst = 0;
for (const [key, answers] of left)
  answers.forEach((a, i) => {
    const b = right.get(key)?.[i];
    if (Array.isArray(a)) {
      likelihoods++;
      worst = Math.max(worst, Math.abs(Number(a[0]) - Number(b?.[0])));
      if (String(a[1]) !== String(b?.[1])) different++;
    } else {
      texts++;
      if (a !== b) different++;
    }
  });
console.log(`${likelihoods} log likelihoods, largest difference ${worst}; ${texts} texts; ${different} answers differ`);
process.exitCode = worst < 1e-3 && different === 0 && left.size === right.size && left.size > 0 ? 0 : 1;
