/** How often a model's answer to held-out arithmetic is right, by kind: npx tsx bench/arithmetic.ts models/nano [problems] [--json FILE [--overwrite]].
 * The problems come from the reserved twentieth that training never sees; answers are greedy.
 */
import { parseArgs } from "node:util";
import { resolveModel } from "../src/checkpoint/index.ts";
import { arithmeticProblem, checkArithmetic } from "../src/data/index.ts";
import { SAMPLING_DEFAULTS } from "../src/infer/index.ts";
import { loadModel } from "../src/serve/index.ts";
import { resultFile } from "./result.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" }, overwrite: { type: "boolean", default: false } },
});
const [model = "models/nano", amount = "500"] = positionals;
const save = resultFile(values.json, "answers to held-out arithmetic, by kind", values.overwrite);
const served = await loadModel(resolveModel(model));
const byKind = new Map<string, { asked: number; right: number }>();
const wrong: { question: string; said: string; expected: number[] }[] = [];
const began = Date.now();
let tokens = 0;
for (let i = 0; i < Number(amount); i++) {
  const problem = arithmeticProblem(77, i, "heldout");
  const prompt = served.tokenizer.encodeChat([{ role: "user", content: problem.question }], {
    addGenerationPrompt: true,
  }).ids;
  const ids: number[] = [];
  for await (const token of served.engine.generate({
    prompt,
    maxTokens: 400,
    sampling: { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 },
    stopIds: served.tokenizer.eosIds,
  }))
    if (token.finish !== "stop") ids.push(token.id);
  tokens += ids.length;
  const said = served.tokenizer.decode(ids);
  const right = checkArithmetic(problem, said);
  const score = byKind.get(problem.kind) ?? { asked: 0, right: 0 };
  byKind.set(problem.kind, { asked: score.asked + 1, right: score.right + Number(right) });
  if (!right) wrong.push({ question: problem.question, said, expected: problem.expected });
  if ((i + 1) % 50 === 0)
    process.stderr.write(`${i + 1} asked, ${wrong.length} wrong, ${((Date.now() - began) / 1000).toFixed(0)} s\n`);
}
const asked = Number(amount);
const result = {
  model,
  asked,
  right: asked - wrong.length,
  share: (asked - wrong.length) / asked,
  kinds: Object.fromEntries(
    [...byKind].sort().map(([kind, s]) => [kind, { ...s, share: Math.round((1000 * s.right) / s.asked) / 1000 }]),
  ),
  tokens,
  seconds: (Date.now() - began) / 1000,
  wrong: wrong.slice(0, 10),
};
save(result);
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
await served.engine.close();
process.exit(0);
