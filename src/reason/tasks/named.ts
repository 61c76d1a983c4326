/** Tasks by their names, and by files. */
import { UsageError } from "../../errors.ts";
import { countdown } from "../countdown/task.ts";
import { mixture } from "../mixture.ts";
import type { Task } from "../task.ts";
import { code } from "./code.ts";
import { extract } from "./extract.ts";
import { graph } from "./graph.ts";
import { jsonlTask } from "./jsonl.ts";
import { lastDigit, parity, product, sum } from "./longShort.ts";
import { type OwnOptions, ownTask } from "./own.ts";
import { words } from "./words.ts";

interface Named {
  /** For people: what may stand in the name's place. */
  form: string;
  example: string;
  pattern: RegExp;
  make(...numbers: number[]): Task;
  /** Whether such numbers make sense. */
  fits?(...numbers: number[]): boolean;
}

const between =
  (low: number, high: number) =>
  (...numbers: number[]): boolean =>
    numbers.every((n) => n >= low && n <= high);

export const TASK_NAMES: readonly Named[] = [
  {
    form: "parity-N",
    example: "parity-16",
    pattern: /^parity-(\d+)$/,
    make: (n = 0) => parity(n),
    fits: between(4, 200),
  },
  {
    form: "last-digit-K",
    example: "last-digit-10",
    pattern: /^last-digit-(\d+)$/,
    make: (k = 0) => lastDigit(k),
    fits: between(2, 100),
  },
  { form: "sum-K", example: "sum-5", pattern: /^sum-(\d+)$/, make: (k = 0) => sum(k), fits: between(2, 10) },
  {
    form: "product-AxB",
    example: "product-2x1",
    pattern: /^product-(\d)x(\d)$/,
    make: (x = 1, y = 1) => product(x, y),
    fits: (x = 0, y = 0) => x >= y && x >= 2 && x <= 6 && y >= 1,
  },
  { form: "countdown-3", example: "countdown-3", pattern: /^countdown-3$/, make: () => countdown(3) },
  { form: "countdown-4", example: "countdown-4", pattern: /^countdown-4$/, make: () => countdown(4) },
  { form: "words", example: "words", pattern: /^words$/, make: () => words() },
  { form: "graph-N", example: "graph-8", pattern: /^graph-(\d+)$/, make: (n = 0) => graph(n), fits: between(4, 26) },
  { form: "extract", example: "extract", pattern: /^extract$/, make: () => extract() },
  { form: "code", example: "code", pattern: /^code$/, make: () => code() },
];

/**
 * A task by its name (`sum-5`), several in equal shares (`countdown-3+product-2x2`), a .jsonl file of problems (`train.jsonl`, or `train.jsonl,test.jsonl`), or a module of one's own (.ts, .mts, .js, .mjs).
 * Throws UsageError for a name that is none, DataError for a file that cannot be used. Close it when done.
 */
export async function openTask(name: string, options: OwnOptions = {}): Promise<Task> {
  if (/\.jsonl(,.*\.jsonl)?$/.test(name)) {
    const [path = "", testPath] = name.split(/,(?=[^,]*\.jsonl$)/);
    return jsonlTask(path, { testPath }) as Task;
  }
  if (/\.m?[jt]s$/.test(name)) return ownTask(name, options);
  if (name.includes("+")) {
    const tasks = await Promise.all(name.split("+").map((one) => openTask(one, options)));
    return mixture(tasks.map((task) => ({ task, share: 1 }))) as Task;
  }
  for (const { pattern, make, fits, form } of TASK_NAMES) {
    const found = pattern.exec(name);
    if (!found) continue;
    const numbers = found.slice(1).map(Number);
    if (fits?.(...numbers) === false)
      throw new UsageError(`task ${name}: these numbers are too small or too large for ${form}`);
    return make(...numbers);
  }
  throw new UsageError(
    `task ${name}: expected ${TASK_NAMES.map(({ form }) => form).join(", ")}, a .jsonl file, or a module (.ts, .js); got none of these`,
  );
}
