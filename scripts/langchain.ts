// Runs LangChain js, as it is, against the server: tools bound, called, streamed, forced, and an answer of a schema. Its packages are 47 MB, so they are no
// development dependency:  npm i --prefix /tmp/langchain @langchain/core @langchain/openai && npx tsx scripts/langchain.ts /tmp/langchain
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { createApp } from "../src/serve/app.ts";
import { listen } from "../src/serve/server.ts";
import { toolModel } from "../test/support/toolModels.ts";

const folder = process.argv[2];
if (folder === undefined)
  throw new Error("usage: npx tsx scripts/langchain.ts FOLDER, in which LangChain's packages are installed");
const require = createRequire(join(folder, "package.json"));
const load = async (name: string): Promise<any> => import(pathToFileURL(require.resolve(name)).href);
const [{ ChatOpenAI }, { tool }, { HumanMessage, ToolMessage }] = await Promise.all(
  ["@langchain/openai", "@langchain/core/tools", "@langchain/core/messages"].map(load),
);

const call = (a: number, b: number): string =>
  `<tool_call>\n{"name": "add", "arguments": {"a": ${a}, "b": ${b}}}\n</tool_call>`;
const scripted = toolModel("qwen3", (prompt) =>
  prompt.includes("<tool_response>\n") ? "They are 5 and 9." : `Let me add.\n${call(2, 3)}\n${call(4, 5)}`,
);
const server = await listen(createApp({ model: scripted.model }), { host: "127.0.0.1", port: 0 });
const chat = new ChatOpenAI({
  model: "qwen3",
  apiKey: "none",
  temperature: 0,
  configuration: { baseURL: `${server.url}/v1` },
});
const add = tool(async ({ a, b }: { a: number; b: number }) => String(a + b), {
  name: "add",
  description: "Adds two numbers",
  schema: z.object({ a: z.number().int(), b: z.number().int() }),
});
const CALLED = [
  { name: "add", args: { a: 2, b: 3 } },
  { name: "add", args: { a: 4, b: 5 } },
];
const told = (calls: { name: string; args: object }[]): object[] => calls.map(({ name, args }) => ({ name, args }));

const bound = chat.bindTools([add]);
const question = new HumanMessage("2+3 and 4+5?");
const first = await bound.invoke([question]);
assert.equal(first.content, "Let me add.");
assert.deepEqual(told(first.tool_calls), CALLED);

const results = await Promise.all(first.tool_calls.map((one: any) => add.invoke(one)));
assert.ok(results.every((one) => one instanceof ToolMessage));
assert.equal((await bound.invoke([question, first, ...results])).content, "They are 5 and 9.");

let streamed: any;
let chunks = 0;
for await (const chunk of await bound.stream([question])) {
  streamed = streamed === undefined ? chunk : streamed.concat(chunk);
  chunks++;
}
assert.deepEqual(told(streamed.tool_calls), CALLED);
assert.ok(chunks > 20);

const forced = await chat.bindTools([add], { tool_choice: "add", strict: true }).invoke([question]);
assert.equal(forced.tool_calls.length, 1);
assert.equal(forced.response_metadata.finish_reason, "tool_calls");

for (const method of ["functionCalling", "jsonSchema"]) {
  const shaped = chat.withStructuredOutput(z.object({ kind: z.enum(["a", "b"]) }), { name: "kind", method });
  assert.ok(["a", "b"].includes((await shaped.invoke([question])).kind));
}

await server.close();
await scripted.close();
console.log("LangChain js: invoke, results, stream, forced, structured output: as expected");
