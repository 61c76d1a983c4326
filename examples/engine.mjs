// The engine without HTTP: an answer token by token, and how likely each token was. node engine.mjs [MODEL] [QUESTION]
import { loadModel, SAMPLING_DEFAULTS } from "sumbi";

const [name = "nano", question = "What is 347 + 586?"] = process.argv.slice(2);
const { engine, tokenizer, encoder } = await loadModel(name);

const { ids } = await encoder.chat([{ role: "user", content: question }], { addGenerationPrompt: true });
const tokens = engine.generate({
  prompt: ids,
  maxTokens: 200,
  sampling: { ...SAMPLING_DEFAULTS, temperature: 0, seed: 1 },
  stopIds: tokenizer.eosIds,
  logprobs: 2, // the two likeliest at each place
});
const text = tokenizer.stream(); // keeps half characters back
let sum = 0;
let least = { token: "", logprob: 0, instead: "" };
for await (const { id, finish, logprob = 0, top = [] } of tokens) {
  if (finish !== "stop") process.stdout.write(text.push(id));
  sum += logprob;
  const other = top.find((t) => t.id !== id);
  if (logprob < least.logprob)
    least = { token: tokenizer.decode([id]), logprob, instead: other ? tokenizer.decode([other.id]) : "" };
}
console.log(text.flush());
console.log(`log-probability of the answer: ${sum.toFixed(3)}`);
console.log(
  `least sure of ${JSON.stringify(least.token)} (${least.logprob.toFixed(3)}; else ${JSON.stringify(least.instead)})`,
);
await engine.close();
