/** How often each answer of one long conversation is right, by its turn: npx tsx bench/conversation.ts models/nano [conversations] [--turns 10] [--kinds add] [--json FILE [--overwrite]].
 * Held-out problems, greedy answers; as in a chat, earlier answers are kept and their thoughts are not. A conversation without room for an answer ends.
 */
import { parseArgs } from "node:util";
import { resolveModel } from "../src/checkpoint/index.ts";
import { type ArithmeticKind, arithmeticProblem, checkArithmetic } from "../src/data/index.ts";
import { SAMPLING_DEFAULTS } from "../src/infer/index.ts";
import { loadModel } from "../src/serve/index.ts";
import { resultFile } from "./result.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { type: "string", default: "10" },
    kinds: { type: "string" },
    json: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});
const [model = "models/nano", amount = "20"] = positionals;
const save = resultFile(values.json, "answers of one long conversation, by turn", values.overwrite);
const kinds = values.kinds?.split(",") as ArithmeticKind[] | undefined;
const turns = Number(values.turns);
const { engine, tokenizer } = await loadModel(resolveModel(model));
const byTurn = Array.from({ length: turns }, (_, i) => ({ turn: i + 1, asked: 0, right: 0, promptTokens: 0 }));
const wrong: { conversation: number; turn: number; question: string; said: string }[] = [];
const began = Date.now();
let whole = 0;
for (let c = 0; c < Number(amount); c++) {
  const messages: { role: "user" | "assistant"; content: string }[] = [];
  let rightSoFar = true;
  for (const row of byTurn) {
    const problem = arithmeticProblem(78, c * turns + row.turn, "heldout", kinds);
    messages.push({ role: "user", content: problem.question });
    const prompt = tokenizer.encodeChat(messages, { addGenerationPrompt: true }).ids;
    const maxTokens = Math.min(400, engine.limits.contextTokens - prompt.length);
    if (maxTokens < 1) break;
    const ids: number[] = [];
    for await (const token of engine.generate({
      prompt,
      maxTokens,
      sampling: { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 },
      stopIds: tokenizer.eosIds,
    }))
      if (token.finish !== "stop") ids.push(token.id);
    const said = tokenizer.decode(ids);
    const right = checkArithmetic(problem, said);
    row.asked++;
    row.right += Number(right);
    row.promptTokens += prompt.length;
    rightSoFar &&= right;
    if (!right) wrong.push({ conversation: c, turn: row.turn, question: problem.question, said });
    messages.push({ role: "assistant", content: said.split("</think>").at(-1) ?? "" });
  }
  whole += Number(rightSoFar);
}
const asked = byTurn.reduce((n, row) => n + row.asked, 0);
const right = byTurn.reduce((n, row) => n + row.right, 0);
const result = {
  model,
  conversations: Number(amount),
  kinds: kinds ?? "all",
  asked,
  right,
  share: right / asked,
  wholeConversationsRight: whole,
  turns: byTurn.map(({ promptTokens, ...row }) => ({
    ...row,
    promptTokens: Math.round(promptTokens / Math.max(1, row.asked)),
  })),
  seconds: (Date.now() - began) / 1000,
  wrong: wrong.slice(0, 10),
};
save(result);
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
await engine.close();
process.exit(0);
