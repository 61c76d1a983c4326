/** Compares Sumbi with what transformers computed of the folders that scripts/sweep.py made: every one must be equal, or refused by name.
 *
 *     python scripts/sweep.py /tmp/sweep && npx tsx scripts/sweep.ts /tmp/sweep [--refused]
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SafetensorsFile } from "../src/checkpoint/index.ts";
import { SumbiError } from "../src/errors.ts";
import { logitsOf } from "../test/support/changed.ts";

/** Largest difference over the largest logit. */
const TOLERANCE = 1e-4;

interface Reference {
  ids: number[];
  /** Absent: transformers refused too, or made weights up. */
  logits?: Float32Array;
  reason?: string;
}

async function referenceOf(dir: string): Promise<Reference> {
  const file = await SafetensorsFile.open(join(dir, "reference.safetensors"));
  const ids = Array.from((await file.read("input_ids")).data as BigInt64Array, Number);
  const logits = file.tensors.has("logits") ? ((await file.read("logits")).data as Float32Array) : undefined;
  await file.close();
  return {
    ids,
    logits,
    reason: (JSON.parse(readFileSync(join(dir, "about.json"), "utf8")) as { reason?: string }).reason,
  };
}

/** Largest difference over the largest expected value; a shorter context is compared as far as it goes. */
function apart(actual: Float32Array, expected: Float32Array): number {
  let worst = 0,
    scale = 0;
  for (const [i, value] of actual.entries()) {
    worst = Math.max(worst, Number.isNaN(value) ? Infinity : Math.abs(value - (expected[i] ?? NaN)));
    scale = Math.max(scale, Math.abs(expected[i] ?? NaN));
  }
  return worst / scale;
}

const [root, flag] = process.argv.slice(2);
if (root === undefined || !existsSync(root)) throw new Error("usage: npx tsx scripts/sweep.ts FOLDER [--refused]");
const names = readdirSync(root).sort();
const groups: Record<"equal" | "refused" | "refused by both" | "computed by us alone" | "wrong" | "failed", string[]> =
  {
    equal: [],
    refused: [],
    "refused by both": [],
    "computed by us alone": [],
    wrong: [],
    failed: [],
  };
let largest = 0;
for (const name of names) {
  const dir = join(root, name);
  const { ids, logits, reason } = await referenceOf(dir);
  try {
    const ours = (await logitsOf(dir, ids)).logits;
    if (logits === undefined) groups["computed by us alone"].push(`${name}: transformers: ${reason}`);
    else {
      const distance = apart(ours, logits);
      if (distance < TOLERANCE) largest = Math.max(largest, distance);
      groups[distance < TOLERANCE ? "equal" : "wrong"].push(`${name}: ${distance}`);
    }
  } catch (error) {
    if (!(error instanceof SumbiError)) groups.failed.push(`${name}: ${(error as Error).stack}`);
    else
      groups[logits === undefined ? "refused by both" : "refused"].push(
        `${name}: ${error.message.replaceAll(root, "").slice(0, 160)}`,
      );
  }
}
if (flag === "--refused") for (const line of [...groups.refused, ...groups["refused by both"]]) console.log(line);
for (const kind of ["computed by us alone", "wrong", "failed"] as const)
  for (const line of groups[kind]) console.log(`${kind}: ${line}`);
console.log(
  `${names.length} checkpoints: ${Object.entries(groups)
    .map(([kind, list]) => `${list.length} ${kind}`)
    .join(", ")}; equal to ${largest.toExponential(1)} or better`,
);
process.exitCode = groups.wrong.length + groups.failed.length > 0 ? 1 : 0;
