/** Loss by position: whether a model is as good at the end of its context as at the start: npx tsx bench/positions.ts models/nano [windows] [--json FILE [--overwrite]].
 * Held-out texts of the built-in corpora, each window as long as the context: "packed" fills it with short problems one after the other, as training does;
 * "conversation" is one long conversation from its first token on, which few fill to the end; what is past in it is read, not measured, as in training.
 */
import { parseArgs } from "node:util";
import { resolveModel } from "../src/checkpoint/index.ts";
import { arithmeticDocument, conversationDocument, encodeDocument, loadTokenizer } from "../src/data/index.ts";
import { loadModel } from "../src/serve/index.ts";
import { resultFile } from "./result.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" }, overwrite: { type: "boolean", default: false }, context: { type: "string" } },
});
const [model = "models/nano", amount = "100"] = positionals;
const save = resultFile(values.json, "loss by position", values.overwrite);
const { engine } = await loadModel(resolveModel(model));
const tokenizer = loadTokenizer(resolveModel(model));
/** Not the seeds that the built-in corpora have. */
const SEED = 79;
const context = Math.min(Number(values.context ?? engine.limits.contextTokens), engine.limits.contextTokens);
const bounds = [0, context / 4, context / 2, context];

/** Windows of exactly `context` tokens, documents one after the other. */
function* packed(count: number): Generator<number[]> {
  let ids: number[] = [];
  for (let i = 0; count > 0; i++) {
    ids.push(...encodeDocument(arithmeticDocument(SEED, i, "heldout"), tokenizer).ids);
    if (ids.length < context) continue;
    yield ids.slice(0, context);
    ids = [];
    count--;
  }
}

/** One conversation each, cut at the context. */
function* conversations(count: number): Generator<number[]> {
  for (let i = 0; i < count; i++)
    yield encodeDocument(conversationDocument(SEED, i, "heldout"), tokenizer).ids.slice(0, context);
}

const round = (x: number): number => Math.round(x * 1e4) / 1e4;
const series: Record<string, { from: number; to: number; tokens: number; loss: number }[]> = {};
for (const [name, windows] of Object.entries({ packed, conversation: conversations })) {
  const sums = bounds.slice(1).map(() => ({ tokens: 0, nats: 0 }));
  for (const ids of windows(Number(amount)))
    for (const [position, { logprob }] of (
      await engine.score(
        ids.map((id) => (id < 0 ? ~id : id)),
        0,
      )
    ).entries()) {
      const sum = sums[bounds.findIndex((bound) => position < bound) - 1];
      if (logprob === null || sum === undefined || (ids[position] ?? 0) < 0) continue;
      sum.tokens++;
      sum.nats -= logprob;
    }
  series[name] = sums.map(({ tokens, nats }, i) => ({
    from: bounds[i] ?? 0,
    to: bounds[i + 1] ?? 0,
    tokens,
    loss: round(nats / Math.max(1, tokens)),
  }));
}
const result = { model, context, windows: Number(amount), series };
save(result);
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
await engine.close();
process.exit(0);
