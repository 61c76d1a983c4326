/** What is right without thinking: the best fixed expression over the numbers, and one drawn at random. */
import type { Baselines } from "../task.ts";
import { shapesOf, textOf, valueAt } from "./shapes.ts";

export interface Asked {
  numbers: readonly number[];
  target: number;
}

/** Over problems of equally many numbers. Fixed expressions are tried on the numbers as given and from the largest down. */
export function countdownBaselines(problems: readonly Asked[]): Baselines {
  const all = shapesOf(problems[0]?.numbers.length ?? 0);
  const given = problems.map(({ numbers }) => numbers);
  const sorted = given.map((numbers) => [...numbers].sort((x, y) => y - x));
  let best = { rule: "", right: -1 };
  let right = 0;
  for (const shape of all)
    for (const [how, lists] of [
      ["as given", given],
      ["from the largest down", sorted],
    ] as const) {
      const hits = lists.filter((numbers, i) => Math.abs(valueAt(shape, numbers) - problems[i]!.target) < 1e-9).length;
      if (how === "as given") right += hits;
      if (hits > best.right) best = { rule: `${textOf(shape).slice(1, -1)}, numbers ${how}`, right: hits };
    }
  const count = Math.max(1, problems.length);
  return {
    bestConstant: { rule: best.rule, share: best.right / count },
    randomDraw: right / count / Math.max(1, all.length),
  };
}
