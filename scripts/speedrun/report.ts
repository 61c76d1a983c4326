/** What a speedrun made, as a page: stages with their minutes, and every measurement that is there. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

export const ledgerSchema = z.object({
  small: z.boolean(),
  cpu: z.string(),
  cores: z.number(),
  stages: z.record(
    z.string(),
    z.object({
      seconds: z.number(),
      /** One, and one more for each time that it was gone on with. */
      calls: z.array(z.string()),
      done: z.boolean(),
    }),
  ),
});
export type Ledger = z.infer<typeof ledgerSchema>;

const share = z.object({ mean: z.number(), low: z.number(), high: z.number() });
const taskSchema = z.object({
  greedy: share,
  passAt1: share,
  passAtK: share,
  consAtK: share,
  length: share,
  k: z.number(),
  questions: z.number(),
  parts: z.record(z.string(), share),
  summary: z.record(z.string(), z.number()).default({}),
  baselines: z.object({ bestConstant: z.object({ share: z.number() }), randomDraw: z.number() }).optional(),
});
const benchSchema = z.object({ asked: z.number(), right: z.number(), wholeConversationsRight: z.number().optional() });

const percent = (x: number | undefined): string => (x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);
const inWords = ({ mean, low, high }: z.infer<typeof share>): string =>
  `${percent(mean)} (${(100 * low).toFixed(0)} to ${(100 * high).toFixed(0)})`;
const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

/** Energy and money as the recipes count them. */
const WATTS = 40;
const USD_PER_HOUR = 0.05;

/** A page of Markdown. `models` are those that were measured, in their order. */
export function reportOf(ledger: Ledger, out: string, models: readonly string[]): string {
  const stages = Object.entries(ledger.stages);
  const seconds = stages.reduce((sum, [, stage]) => sum + stage.seconds, 0);
  const hours = seconds / 3600;
  const read = (name: string): unknown =>
    existsSync(join(out, name)) ? JSON.parse(readFileSync(join(out, name), "utf8")) : undefined;
  const lines = [
    "# Speedrun",
    "",
    `${(seconds / 60).toFixed(1)} minutes on ${ledger.cores} cores of ${ledger.cpu}${ledger.small ? " (in miniature)" : ""}; ` +
      `${((WATTS * hours) / 1000).toFixed(3)} kWh at ${WATTS} W, $${(USD_PER_HOUR * hours).toFixed(3)} at $${USD_PER_HOUR} an hour.`,
    "",
    row(["stage", "minutes", "command"]),
    row(["---", "---", "---"]),
    ...stages.map(([name, { seconds, calls }]) =>
      row([
        name,
        (seconds / 60).toFixed(1),
        `\`${calls[0]}\`${calls.length > 1 ? `, gone on with ${calls.length - 1} ×` : ""}`,
      ]),
    ),
    "",
    row([
      "",
      "greedy",
      "pass@1",
      "pass@k",
      "cons@k",
      "sound",
      "facts true",
      "tries again",
      "right after a wrong try",
      "without retries",
      "length",
    ]),
    row(new Array<string>(11).fill("---")),
  ];
  let baselines: z.infer<typeof taskSchema>["baselines"];
  for (const model of models) {
    const found = read(`${model}-countdown-3.json`);
    if (found === undefined) continue;
    const { greedy, passAt1, passAtK, consAtK, length, parts, summary, ...rest } = taskSchema.parse(found);
    baselines ??= rest.baselines;
    const of = (name: string): string => percent(summary[name]);
    lines.push(
      row([
        `${model}, countdown-3, ${rest.questions} problems, k ${rest.k}`,
        inWords(greedy),
        inWords(passAt1),
        inWords(passAtK),
        inWords(consAtK),
        parts["sound"] ? inWords(parts["sound"]) : "–",
        of("trueFacts"),
        of("retried"),
        of("rightAfterWrong"),
        of("withoutRetries"),
        length.mean.toFixed(0),
      ]),
    );
  }
  if (baselines)
    lines.push(
      "",
      `The best fixed expression: ${percent(baselines.bestConstant.share)}; a random one: ${percent(baselines.randomDraw)}.`,
    );
  for (const model of models)
    for (const what of ["arithmetic", "conversation"]) {
      const found = read(`${model}-${what}.json`);
      if (found === undefined) continue;
      const { asked, right, wholeConversationsRight } = benchSchema.parse(found);
      const whole =
        wholeConversationsRight === undefined ? "" : `, ${wholeConversationsRight} conversations without an error`;
      lines.push("", `${model}, ${what}: ${right} of ${asked} right${whole}.`);
    }
  return `${lines.join("\n")}\n`;
}
