/** Tokenizer files and templates that are too much, one bound each: built in bounded time, or refused in words. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ConfigError, DataError } from "../errors.ts";
import { Tokenizer } from "./tokenizer.ts";

interface Json {
  normalizer: object | null;
  pre_tokenizer: object | null;
  added_tokens: { id: number; content: string; special: boolean }[];
  model: { vocab: Record<string, number>; merges: unknown[] };
}

const json = (change: (json: Json) => void = () => undefined): Json => {
  const parsed = JSON.parse(readFileSync(new URL("./fixtures/digits/tokenizer.json", import.meta.url), "utf8")) as Json;
  change(parsed);
  return parsed;
};
const firstFree = ({ model, added_tokens }: Json): number =>
  1 + Math.max(...Object.values(model.vocab), ...added_tokens.map(({ id }) => id));

const COUNT = 300_000;
const names = Array.from({ length: COUNT }, (_, i) => `<tok${i}>`);
const TEMPLATE = "{% for m in messages %}{{ m.role + m.content }}{% endfor %}";

describe("300,000 added tokens", () => {
  const given: Record<string, (file: Json, first: number) => Record<string, unknown>> = {
    "in tokenizer.json": (file, first) => {
      for (const [i, content] of names.entries()) file.added_tokens.push({ id: first + i, content, special: true });
      return {};
    },
    "as additional_special_tokens": (file, first) => {
      for (const [i, content] of names.entries()) file.model.vocab[content] = first + i;
      return { additional_special_tokens: names };
    },
  };
  it.each(Object.keys(given))("%s are found in text, and are text in what people write", (where) => {
    const file = json();
    const first = firstFree(file);
    const config = given[where]!(file, first);
    const tokenizer = new Tokenizer(file, { ...config, chat_template: TEMPLATE });
    expect(tokenizer.vocabSize).toBe(first + COUNT);
    const text = `${names[0]} and ${names[COUNT - 1]}`;
    const ids = tokenizer.encode(text);
    expect([ids[0], ids.at(-1)]).toEqual([first, first + COUNT - 1]);
    const chat = tokenizer.encodeChat([{ role: "user", content: text.repeat(100) }]);
    expect(chat.ids.some((id) => id >= first)).toBe(false);
    expect(tokenizer.decode(chat.ids)).toBe(`user${text.repeat(100)}`);
  });

  it("without an id, in hundreds of thousands, are left out", () => {
    const tokenizer = new Tokenizer(json(), { additional_special_tokens: names });
    expect(tokenizer.vocabSize).toBe(firstFree(json()));
  });
});

describe("a tokenizer.json is refused by name", () => {
  const refused = (change: (file: Json) => void, message: RegExp) => {
    let error: unknown;
    try {
      new Tokenizer(json(change));
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(message);
  };
  const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });

  it.runIf(process.env["SUMBI_TEST"] === "full")(
    "with more than four million tokens in its vocabulary, merges twice as many, or as many added tokens",
    () => {
      const vocab = Object.assign({}, new Array<number>(4_000_001).fill(0)) as unknown as Record<string, number>;
      refused((file) => void (file.model.vocab = vocab), /model\.vocab: expected at most 4000000 tokens, got 4000001/);
      const merges = new Array<string>(8_000_001).fill("a b");
      refused((file) => void (file.model.merges = merges), /model\.merges: expected at most 8000000, got 8000001/);
      const added = new Array<Json["added_tokens"][0]>(4_000_001).fill({ id: 1, content: "a", special: true });
      refused((file) => void (file.added_tokens = added), /added_tokens: expected at most 4000000, got 4000001/);
    },
  );

  it("with ids that would cost memory", () => {
    refused((file) => void (file.model.vocab.x = 16_000_001), /an id from 0 to 16000000, got 16000001/);
    refused((file) => void (file.model.vocab.x = 15_999_999), /ids without wide gaps/);
  });

  it("with added tokens, expressions and lists of rules that are too long", () => {
    refused(
      (file) => void file.added_tokens.push({ id: firstFree(file), content: "x".repeat(1025), special: true }),
      /at most 1024 characters/,
    );
    refused((file) => void (file.pre_tokenizer = split("a".repeat(16_385))), /at most 16384 characters, got 16385/);
    refused(
      (file) => void (file.normalizer = { type: "Replace", pattern: { String: "a".repeat(16_385) }, content: "" }),
      /normalizer\.pattern: expected at most 16384 characters, got 16385/,
    );
    refused(
      (file) => void (file.pre_tokenizer = { type: "Sequence", pretokenizers: new Array(65).fill(split("a")) }),
      /pre_tokenizer: expected at most 64 rules/,
    );
  });
});

describe("a chat template", () => {
  const render = (source: string) =>
    new Tokenizer(json(), { chat_template: source }).applyChatTemplate([{ role: "user", content: "x" }]);
  it("with loops in loops is ended by the clock, with nothing in them to count", () => {
    const loops = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
    expect(() => render(loops)).toThrow("chat template: ended, since it ran longer than 4 s");
  });

  const nested = (open: string, close: string, times: number, core = "a") =>
    `${open.repeat(times)}${core}${close.repeat(times)}`;

  it("of three million nodes is refused unread; as many as may be are rendered", () => {
    expect(() => render("{{a}}".repeat(3_000_000))).toThrow(
      new ConfigError(
        "tokenizer_config.json: the chat_template cannot be parsed: expected at most 524288 characters, got 15000000",
      ),
    );
    expect(render("{{1}}".repeat(104_857))).toBe("1".repeat(104_857));
  });

  it("with too many blanks in a row is refused by their place; 2,000 are read", () => {
    expect(render(`a${" ".repeat(2000)}b`)).toHaveLength(2002);
    expect(() => render(`abc${"\n ".repeat(1024)}`)).toThrow(
      /the chat_template cannot be parsed: expected at most 2047 spaces and line ends in a row, got more from character 4 on/,
    );
  });

  it.each([
    ["brackets", `{{${nested("(", ")", 100_000)}}}`],
    ["lists", `{{${nested("[", "]", 100_000)}}}`],
    ["objects", `{{${nested("{'a':", "}", 60_000)}}}`],
    ["subscripts", `{{${nested("a[", "]", 100_000)}}}`],
    ["conditions", nested("{%if a%}", "{%endif%}", 20_000)],
    ["alternatives", `{%if a%}${"{%elif a%}".repeat(50_000)}{%endif%}`],
    ["choices", `{{${"a if a else ".repeat(40_000)}a}}`],
    ["loops", nested("{%for a in a%}", "{%endfor%}", 15_000)],
    ["negations", `{{${"not ".repeat(100_000)}a}}`],
    ["fields", `{{a${".a".repeat(200_000)}}}`],
    ["filters", `{{a${"|trim".repeat(80_000)}}}`],
    ["sums", `{{a${"+a".repeat(200_000)}}}`],
  ])("of %s within each other is refused in words", (_, source) => {
    let error: unknown;
    try {
      render(source);
    } catch (caught) {
      error = caught;
    }
    expect(error instanceof ConfigError || error instanceof DataError, String(error)).toBe(true);
    expect((error as Error).message).toMatch(/it is nested too deeply$/);
  });
});
