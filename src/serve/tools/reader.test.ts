import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CallList } from "./calls.ts";
import { deepseekV3, deepseekV31 } from "./deepseek.ts";
import { deepseekV4, deepseekV32 } from "./dsml.ts";
import { Markup, type ToolFormat } from "./format.ts";
import { hermes } from "./hermes.ts";
import { list } from "./list.ts";
import { llama3 } from "./llama.ts";
import { CallReader } from "./reader.ts";
import { textOf, writeCalls } from "./write.ts";

const FORMATS = [hermes, list, deepseekV3, deepseekV31, deepseekV32, deepseekV4, llama3];
const names = new Set(["get", "get_time", "run"]);
const NO_TOKENS = () => undefined;
const ALL_TOKENS = (mark: string) => mark.length;

/** What is read of text that comes in pieces cut at these places. */
function read(
  format: ToolFormat,
  text: string,
  options: { cuts?: number[]; idOf?: typeof ALL_TOKENS | typeof NO_TOKENS; cut?: boolean } = {},
) {
  const markup = new Markup(format, options.idOf ?? ALL_TOKENS);
  const reader = new CallReader(markup, names);
  const list = new CallList();
  const calls: unknown[] = [];
  let content = "";
  const take = ({ text, calls: pieces }: ReturnType<CallReader["push"]>) => {
    content += text;
    list.add(pieces);
    calls.push(...pieces);
  };
  const whole = Array.from(markup.read(text));
  const places = [
    0,
    ...(options.cuts ?? []).map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b),
    whole.length,
  ];
  for (const [i, from] of places.slice(0, -1).entries()) take(reader.push(whole.slice(from, places[i + 1]).join("")));
  take(reader.flush(options.cut ?? false));
  return { content, calls: list.all.map(({ name, arguments: text }) => [name, text]), pieces: calls, reader };
}

const written = (format: ToolFormat, calls: [name: string, text: string][]): string =>
  textOf(
    writeCalls(
      format,
      calls.map(([name, text]) => ({ name, arguments: text })),
    ),
    () => "",
  );

describe.each(FORMATS)("$name", (format) => {
  const value = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.constantFrom("2>&1", "</", "<｜", "</tool_call", '"}\n', "\\", "```", "{", "true", "5", ""),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.oneof(fc.string(), fc.integer()), { maxLength: 3 }),
    fc.dictionary(fc.string({ minLength: 1 }), fc.boolean(), { maxKeys: 2, noNullPrototype: true }),
  );
  const key = fc.stringMatching(/^[a-z_]{1,8}$/);
  const call = fc.tuple(fc.constantFrom(...names), fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true }));

  test("what is written is read, however it is cut, with marks that are tokens and without", () => {
    fc.assert(
      fc.property(
        fc.array(call, { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.boolean(),
        fc.constantFrom("", "Sure.", "I'll look: 2 < 3", "\u{1f400} \u{1f4ff}"),
        (calls, cuts, tokens, before) => {
          const texts = calls.map(([name, given]): [string, string] => [name, JSON.stringify(given)]);
          const text = (before === "" || format === llama3 ? "" : `${before}\n\n`) + written(format, texts);
          const out = read(format, text, { cuts, idOf: tokens ? ALL_TOKENS : NO_TOKENS });
          expect(out.content).toBe(format === llama3 ? "" : before);
          expect(out.calls.map(([name, text]) => [name, JSON.parse(text!)])).toEqual(calls);
        },
      ),
      { numRuns: 150 },
    );
  });
  test("text that is no call comes out as it went in", () => {
    const word = fc.constantFrom(
      "a",
      " ",
      "\n",
      "{",
      '"name": "',
      "get",
      ...format.marks,
      format.begin,
      "```\n",
      "<",
      "</",
      "é\u{1f400}",
      "name",
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 6 }), (words, cuts) => {
        const text = words.join("");
        const { content, calls } = read(format, text, { cuts, idOf: NO_TOKENS });
        if (calls.length === 0) expect(content).toBe(text);
      }),
      { numRuns: 200 },
    );
  });
  test("half a call is what came of it, and no text", () => {
    const text = written(format, [["get", '{"a": "one", "b": 2}']]);
    const whole = new Markup(format, ALL_TOKENS).read(text);
    for (let end = 0; end < whole.length; end++) {
      const markup = new Markup(format, ALL_TOKENS);
      const reader = new CallReader(markup, names);
      const first = reader.push(whole.slice(0, end));
      const rest = reader.flush(true);
      const list = new CallList();
      list.add([...first.calls, ...rest.calls]);
      if (format.marks.length > 0 && end > 1) expect(first.text + rest.text).toBe("");
      if (list.all.length > 0) expect('{"a": "one", "b": 2}'.startsWith(list.all[0]!.arguments)).toBe(true);
    }
  });
});
