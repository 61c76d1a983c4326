// A model of your own text: node train.mjs my-notes/ models/mine. Ctrl-C saves; the id that is printed goes on: node train.mjs --resume ID
import { train } from "sumbi";

const [first, second] = process.argv.slice(2);
const what = first === "--resume" ? { resume: second } : { data: first, out: second };
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const result = await train({
  ...what,
  recipe: process.env.RECIPE ?? "text", // "tiny" trains in a minute; or a recipe file, or an object
  set: { tokens: Number(process.env.TOKENS ?? 1e6) },
  signal: stop.signal,
  onProgress: ({ label, done, total, unit }) => console.error(`${label}: ${done} of ${total} ${unit}`),
  onStart: ({ notes }) => notes.forEach(({ message }) => void console.error(message)),
  onStep: ({ step, steps, loss }) => console.log(`step ${step} of ${steps}, loss ${loss.toFixed(3)}`),
});
if (result.reason === "done") console.log(`the model is in ${result.model}`);
else console.log(`stopped; go on with --resume ${result.id}`);
