// Whether a claim adds up: node audit.mjs [CLAIM]. CLAIM is the name of one that ships (deepseek-v3, …) or a file; docs/planning.md says what may stand in it.
import { readFileSync } from "node:fs";
import { audit, CLAIMS, claimOf, parseClaim, VERDICTS } from "sumbi/audit";

const [given] = process.argv.slice(2);
const acme = {
  name: "acme-70b",
  who: "Acme Labs",
  date: "2025-06-01",
  model: "llama-3.1-70b",
  tokens: "6T",
  sequence: 4096,
  batch: 2048,
  chip: "h100",
  gpus: 1024,
  precision: "bf16",
  layout: { tp: 8, pp: 4 },
  phases: [{ name: "pre-training", days: 20, usd: "3.3M" }],
  usdPerGpuHour: 2,
};
const read = (/** @type {string} */ name) =>
  Object.hasOwn(CLAIMS, name) ? claimOf(name) : parseClaim(JSON.parse(readFileSync(name, "utf8")), name);
const report = audit(given === undefined ? parseClaim(acme, "acme") : read(given));

console.log(`${report.title}: ${VERDICTS[report.verdict.grade]}. ${report.verdict.because}.`);
for (const { grade, short } of report.checks) if (grade !== "ok") console.log(`  ${grade}: ${short}`);
