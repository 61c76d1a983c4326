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
const round = (value: number): number => Number(value.toFixed(3));
const rounded = (values: object, round: (value: number) => number) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, round(value)]));
const three = (value: number): number => Number(value.toPrecision(3));
const bands = rounded(board.bands, round);
const leftOut = Object.fromEntries(
  [...board.constants].map(([family, constants]) => [
    family,
    { constants: rounded(constants, three), bands: rounded(board.bandsWithout.get(family)!, round) },
  ]),
);
writeFileSync(
  here("src/plan/accuracy/residuals.ts"),
  `/** The planner's measured error, written by \`npm run accuracy\`. */
import type { Constants } from "../constants.ts";
import type { BandModel } from "../widths.ts";
import type { Slice } from "./score.ts";

/** How wide errors are on rows on whose family nothing was fitted, by what is known of a row; and how many rows lay inside the bands that the other families gave. */
export const RESIDUALS: { bands: BandModel; slices: readonly [Slice, ...Slice[]] } = ${JSON.stringify({ bands, slices: board.slices })};

/** What each family of rows is judged by: constants and bands that have not seen it. */
export const LEFT_OUT: Readonly<Record<string, { constants: Constants; bands: BandModel }>> = ${JSON.stringify(leftOut)};
`,
);
for (const family of new Set(board.rows.map(({ settled }) => settled.row.family))) {
  const of = board.rows.filter(({ settled }) => settled.row.family === family);
  console.log(
    `${family.padEnd(20)} ${String(of.length).padStart(3)} rows, median error ${(100 * median(of.map(({ error }) => Math.abs(error)))).toFixed(1)} %`,
  );
}
for (const { name, rows: count, inside } of board.slices) console.log(`${name}: ${inside} of ${count} inside`);
for (const { what, bar, reached, holds } of barsOf(board))
  console.log(`${holds ? "holds " : "MISSED"}  ${what}: ${reached} (bar: ${bar})`);
