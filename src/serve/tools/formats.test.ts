// Each format on a real tokenizer, with its template: chosen, bound, read, replayed.
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TOOL_TEMPLATES, type ToolModel, toolModel } from "../../../test/support/toolModels.ts";
import { speechOf } from "./formats.ts";
import { textOf, writeCalls } from "./write.ts";

const PARAMETERS = {
  type: "object",
  properties: {
    city: { type: "string", maxLength: 12 },
    days: { type: "integer", minimum: 1, maximum: 9 },
    unit: { enum: ["C", "F"] },
    exact: { type: "boolean" },
  },
  required: ["city", "days"],
  additionalProperties: false,
};
const tool = (name: string, parameters: object = PARAMETERS, strict?: boolean) => ({
  type: "function",
  function: { name, description: `Does ${name}`, parameters, strict },
});
const TOOLS = [tool("weather"), tool("now", { type: "object", properties: {} })];
const valid = new Ajv2020().compile(PARAMETERS);
const NAMES: Record<string, string> = {
  v3: "deepseek-v3",
  v31: "deepseek-v3.1",
  v32: "deepseek-v3.2",
  qwen3: "hermes",
  llama3: "llama-3",
  smollm2: "list",
};

describe.each(Object.keys(TOOL_TEMPLATES))("%s", (name) => {
  const { format } = speechOf(TOOL_TEMPLATES[name]!.source);
  const written = (...calls: [name: string, given: object][]): string =>
    textOf(
      writeCalls(
        format,
        calls.map(([name, given]) => ({ name, arguments: JSON.stringify(given) })),
      ),
      () => "",
    );
  const scripts: Record<string, string | undefined> = {
    one: written(["weather", { city: "제주 2>&1", days: 3 }]),
    two: written(["weather", { city: "a<b", days: 1, exact: true }], ["now", {}]),
    wrong: written(["weather", { city: 5, days: "many" }]),
    other: written(["format_disk", { city: "x", days: 1 }]),
    wild: undefined,
    plain: "No.",
  };
  let model: ToolModel;
  const asked = (prompt: string): string | undefined =>
    /done/.test(prompt) ? "Done." : scripts[/q:(\w+)/.exec(prompt)?.[1] ?? "plain"];
  beforeAll(() => {
    model = toolModel(name, asked);
  });
  afterAll(() => model.close());
  const ask = (q: string, body: object = {}) =>
    model.ask({
      messages: [{ role: "user", content: `q:${q}` }],
      tools: TOOLS,
      max_tokens: 600,
      enable_thinking: name === "qwen3" || name === "v31" ? false : undefined,
      ...body,
    });
  const callsOf = (answer: any): [string, unknown][] =>
    answer.choices[0].message.tool_calls.map((call: any) => [call.function.name, JSON.parse(call.function.arguments)]);

  test("is known by its template", () => expect(format.name).toBe(NAMES[name]));
  test("calls are read, one and several, and no markup is left", async () => {
    const one = await ask("one");
    expect(one.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } });
    expect(callsOf(one)).toEqual([["weather", { city: "제주 2>&1", days: 3 }]]);
    expect(callsOf(await ask("two"))).toEqual([
      ["weather", { city: "a<b", days: 1, exact: true }],
      ["now", {}],
    ]);
    const plain = await ask("plain");
    expect(plain.choices[0]).toMatchObject({ finish_reason: "stop", message: { content: "No." } });
  });
  test("a call goes back as it was drawn, and as its canonical form where it is not known", async () => {
    const messages = [{ role: "user", content: "q:one" }];
    const { choices } = await ask("one");
    const { ids: prompt } = model.prompts.at(-1)!;
    const drawn = model.tokenizer.encode(scripts["one"]!);
    const [call] = choices[0].message.tool_calls;
    const result = { role: "tool", tool_call_id: call.id, content: "done <｜User｜>" };
    const thinking = { messages: [...messages, choices[0].message, result], tools: TOOLS };
    const next = await ask("", thinking);
    expect(next.choices[0].message.content).toBe("Done.");
    const replayed = model.prompts.at(-1)!;
    if (name !== "qwen3") expect(replayed.ids.slice(0, prompt.length + drawn.length)).toEqual([...prompt, ...drawn]);
    expect(replayed.text).toContain(scripts["one"]);
    expect(replayed.text).toContain("done <｜User｜>");
    const strange = { ...call, id: "call_of_another_server" };
    await ask("", {
      messages: [
        ...messages,
        { role: "assistant", content: null, tool_calls: [strange] },
        { ...result, tool_call_id: strange.id },
      ],
      tools: TOOLS,
    });
    expect(model.prompts.at(-1)!.text).toBe(replayed.text);
  });
  test("what must be called is called, whatever the model would say", async () => {
    for (const [q, choice] of [
      ["plain", "required"],
      ["wild", { type: "function", function: { name: "weather" } }],
      ["wrong", "required"],
    ] as const) {
      const answer = await ask(q, { tool_choice: choice, seed: 1, parallel_tool_calls: false });
      expect(answer.choices[0].finish_reason).toBe("tool_calls");
      for (const [called, given] of callsOf(answer)) if (called === "weather") expect(valid(given)).toBe(true);
    }
  });
  test("once it is opened, a call is of its schema", async () => {
    const answer = await ask("wrong", { parallel_tool_calls: false });
    expect(valid(callsOf(answer)[0]![1])).toBe(true);
    expect(answer.choices[0].finish_reason).toBe("tool_calls");
  });
  test("no function is called that was not offered", async () => {
    const { choices } = await ask("other", { parallel_tool_calls: false });
    for (const call of choices[0].message.tool_calls ?? []) expect(["weather", "now"]).toContain(call.function.name);
  });
  test("half a call ends with the limit, and without markup", async () => {
    for (let limit = 1; limit < 30; limit += 4) {
      const { choices } = await ask("one", { max_tokens: limit });
      expect(choices[0].finish_reason).toBe("length");
      const content: string = choices[0].message.content ?? "";
      expect(["", "<"]).toContain(TOOL_TEMPLATES[name]!.tokens.includes(format.marks[0]!) ? content : "");
      // without tokens of its own, what may begin a call is text as long as it is none
      expect(scripts["one"]!.startsWith(content) && !content.includes("<tool_call>")).toBe(true);
      expect(choices[0].message.tool_calls === undefined || content === "").toBe(true);
    }
  });
});
