/** The planner against everything published: npx tsx bench/accuracy.ts [--fit]. Leaves one family out at a time, prints the scoreboard and writes docs/accuracy.md and
 * src/plan/accuracy/residuals.ts. `--fit` prints the constants fitted on all rows, to be put into src/plan/constants.ts; nothing is written then.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fit } from "../src/plan/accuracy/fit.ts";
import { settle } from "../src/plan/accuracy/predict.ts";
import { barsOf, reportOf } from "../src/plan/accuracy/report.ts";
import { ROWS } from "../src/plan/accuracy/rows.ts";
import { median, scoreFamilies } from "../src/plan/accuracy/score.ts";
import { CONSTANT_NAMES, CONSTANTS } from "../src/plan/constants.ts";

const rows = settle(ROWS, CONSTANTS);
if (process.argv.includes("--fit")) {
  const fitted = fit(
    rows.filter(({ row }) => !row.apart),
    { start: CONSTANTS, iterations: 12 },
  );
  for (const name of CONSTANT_NAMES) console.log(`  ${name}: ${Number(fitted[name].toPrecision(3))},`);
  process.exit(0);
}
const board = scoreFamilies(rows, CONSTANTS);
const here = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
writeFileSync(here("docs/accuracy.md"), reportOf(board, CONSTANTS));
const round = ({ p10, p90 }: { p10: number; p90: number }) => `{ p10: ${p10.toFixed(3)}, p90: ${p90.toFixed(3)} }`;
writeFileSync(
  here("src/plan/accuracy/residuals.ts"),
  `/** The planner's measured error, written by \`npm run accuracy\`. */

/**
 * Measured over predicted time of rows on whose family no constant was fitted: 10th and 90th percentile, families weighing the same.
 * A prediction times these is its 80 % band; \`wholeRuns\` are those judged by their GPU-hours.
 */
export const RESIDUALS = { ${round(board.band).slice(2, -2)}, wholeRuns: ${round(board.wholeBand)}, rows: ${board.rows.filter(({ settled }) => !settled.row.apart).length}, coverage: ${board.coverage.toFixed(3)} } as const;
`,
);
for (const family of new Set(board.rows.map(({ settled }) => settled.row.family))) {
  const of = board.rows.filter(({ settled }) => settled.row.family === family);
  console.log(
    `${family.padEnd(20)} ${String(of.length).padStart(3)} rows, median error ${(100 * median(of.map(({ error }) => Math.abs(error)))).toFixed(1)} %`,
  );
}
for (const { what, bar, reached, holds } of barsOf(board))
  console.log(`${holds ? "holds " : "MISSED"}  ${what}: ${reached} (bar: ${bar})`);
