// Guesses checked several at once, beside plain steps of the same model in the same run, in turns:
//   npx tsx bench/drafts.ts MODEL [--drafts auto] [--tokens 256] [--rounds 5] [--threads 2] [--temperature 0] [--weights q4|q8|f32] [--json] [--out FILE]
// The model's own examples.json as conversations, one sequence at a time. One JSON object on stdout: `ratio` is the median of pairs, `alike` whether all tokens
// were the same.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadTokenizer } from "../src/data/index.ts";
import { DRAFTS, ModelEngine, openDecoder, SAMPLING_DEFAULTS } from "../src/infer/index.ts";
import { parseConfig, WEIGHTS_FORMS } from "../src/model/index.ts";
import { setThreads } from "../src/runtime/index.ts";
import { resultFile } from "./result.ts";

const WHAT = "drafts";
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    drafts: { type: "string", default: "auto" },
    tokens: { type: "string", default: "256" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
    temperature: { type: "string", default: "0" },
    weights: { type: "string" },
    json: { type: "boolean", default: false },
    out: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  const write = resultFile(values.out, WHAT, values.overwrite);
  setThreads(Number(values.threads));
  const dir = positionals[0] ?? "models/nano";
  const drafts = DRAFTS.find((name) => name === values.drafts) ?? "auto";
  const weights = WEIGHTS_FORMS.find((name) => name === values.weights);
  const config = parseConfig(JSON.parse(readFileSync(join(dir, "config.json"), "utf8")));
  const tokenizer = loadTokenizer(dir);
  const questions = JSON.parse(readFileSync(join(dir, "examples.json"), "utf8")) as string[];
  const prompts = questions.map(
    (content) => tokenizer.encodeChat([{ role: "user", content }], { addGenerationPrompt: true }).ids,
  );
  const open = async (kind: (typeof DRAFTS)[number]) =>
    new ModelEngine(await openDecoder(dir, config, { weights, drafts: kind }), { drafts: kind });
  const engines = { guessing: await open(drafts), plain: await open("off") };

  /** Seconds from each answer's first token to its last, and all ids. */
  const measure = async (engine: ModelEngine, seed: number) => {
    const ids: number[] = [];
    let seconds = 0;
    for (const prompt of prompts) {
      const sampling = { ...SAMPLING_DEFAULTS, temperature: Number(values.temperature), seed };
      const maxTokens = Math.min(Number(values.tokens), engine.limits.contextTokens - prompt.length);
      let first = 0;
      for await (const { id } of engine.generate({ prompt, maxTokens, sampling, stopIds: tokenizer.eosIds })) {
        first ||= performance.now();
        ids.push(id);
      }
      seconds += (performance.now() - first) / 1000;
    }
    return { seconds, ids, rate: (ids.length - prompts.length) / seconds };
  };
  await measure(engines.guessing, 0);
  await measure(engines.plain, 0);
  const pairs: { guessing: number; plain: number }[] = [];
  let alike = true;
  for (let round = 1; round <= Number(values.rounds); round++) {
    // who comes first changes
    const order = round % 2 ? (["plain", "guessing"] as const) : (["guessing", "plain"] as const);
    const one = { plain: await measure(engines[order[0]], round), guessing: await measure(engines[order[1]], round) };
    if (order[0] === "guessing") [one.plain, one.guessing] = [one.guessing, one.plain];
    alike &&= one.plain.ids.join() === one.guessing.ids.join();
    pairs.push({ guessing: Math.round(one.guessing.rate), plain: Math.round(one.plain.rate) });
  }
  const ratios = pairs.map(({ guessing, plain }) => guessing / plain).sort((a, b) => a - b);
  const report = {
    model: dir,
    drafts,
    temperature: Number(values.temperature),
    threads: Number(values.threads),
    cpu: cpus()[0]?.model,
    tokensPerSecond: pairs,
    alike,
    statistics: engines.guessing.drafts,
    ratio: Math.round(100 * (ratios[ratios.length >> 1] ?? 0)) / 100,
  };
  await Promise.all([engines.guessing.close(), engines.plain.close()]);
  write(report);
  process.stdout.write(`${JSON.stringify({ what: WHAT, ...report }, null, 2)}\n`);
}

void main();
