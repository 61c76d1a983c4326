import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { beforeAll, describe, expect, test } from "vitest";
import { random } from "../../infer/random.ts";
import { schemaGrammar } from "./jsonSchema.ts";
import { Grammars } from "./xgrammar.ts";

/** ASCII, and some characters of two, three and four bytes. */
const TOKENS = [...Array.from({ length: 128 }, (_, i) => String.fromCharCode(i)), ..."éß가\u2028😀\u{10ffff}"];
const EOS = TOKENS.length;
const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
let grammars: Grammars;
beforeAll(async () => {
  grammars = await Grammars.create({ tokens: [...TOKENS, ""], bytes: "raw", stopIds: [EOS] });
});

/** Texts that a grammar allows, drawn evenly by character; after a while what closes comes more often. Undefined where it does not end. */
async function draw(grammar: string, seed: number): Promise<string | undefined> {
  const matcher = await grammars.matcher(grammar);
  const next = random(seed);
  let text = "";
  try {
    for (let i = 0; i < 400; i++) {
      const bits = await matcher.allowed();
      const ids = Array.from({ length: EOS + 1 }, (_, id) => id).filter(
        (id) => ((bits[id >> 5] ?? 0) >>> (id & 31)) & 1,
      );
      const ends = i < 12 ? [] : ids.filter((id) => id === EOS || '"]}'.includes(TOKENS[id] ?? "none"));
      const from = ends.length > 0 && next() < 0.8 ? ends : ids;
      const id = from[Math.floor(next() * from.length)];
      if (id === undefined) throw new Error(`nothing may come after ${text}`);
      if (id === EOS) return text;
      text += TOKENS[id];
      matcher.accept(id);
    }
    return undefined;
  } finally {
    matcher.dispose();
  }
}

const SCHEMAS: Record<string, object> = {
  "integer, bounds": { type: "integer", minimum: -3, maximum: 12 },
  "integer, bounds beyond what is written": { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 },
  "number, a bound beyond what is written": { type: "number", minimum: -3, maximum: 9007199254740991 },
  "integer, open bounds": { type: "integer", exclusiveMinimum: 3, exclusiveMaximum: 120 },
  "integer, from": { type: "integer", minimum: 5 },
  "integer, to": { type: "integer", maximum: -17 },
  "integer, 987 to 1203": { type: "integer", minimum: 987, maximum: 1203 },
  int32: { type: "integer", format: "int32" },
  "number, bounds": { type: "number", minimum: -1, maximum: 3 },
  "number, open bounds": { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
  "number, below": { type: "number", maximum: -2 },
  "number, above": { type: "number", exclusiveMinimum: 12 },
  number: { type: "number" },
  "string, length": { type: "string", minLength: 2, maxLength: 4 },
  pattern: { type: "string", pattern: "^[a-c]{2,3}-\\d+$" },
  "pattern inside": { type: "string", pattern: 'a|"|\\\\' },
  "pattern, either end": { type: "string", pattern: "^ab|c$" },
  date: { type: "string", format: "date" },
  time: { type: "string", format: "time" },
  "date-time": { type: "string", format: "date-time" },
  uuid: { type: "string", format: "uuid" },
  ipv4: { type: "string", format: "ipv4" },
  hostname: { type: "string", format: "hostname" },
  email: { type: "string", format: "email" },
  uri: { type: "string", format: "uri" },
  array: { type: "array", items: { type: "integer" }, minItems: 2, maxItems: 3 },
  "array, none": { type: "array", items: { type: "boolean" }, maxItems: 0 },
  "array, prefix alone": { type: "array", prefixItems: [{ type: "integer" }, { type: "string" }], items: false },
  "array, prefix": { type: "array", prefixItems: [{ type: "integer" }, { type: "boolean" }] },
  "array, prefix and more": { prefixItems: [{ type: "integer" }, { const: 1 }], minItems: 3, items: { type: "null" } },
  object: { type: "object", properties: { a: { type: "integer" }, b: { type: "boolean" }, c: {} }, required: ["b"] },
  "object, more": { properties: { a: { type: "integer" }, ab: { const: 1 } }, additionalProperties: { type: "null" } },
  "object, map": { type: "object", additionalProperties: { type: "integer" }, maxProperties: 3, minProperties: 1 },
  "object, any": { type: "object" },
  "object, empty": { type: "object", properties: {} },
  "object, closed": { type: "object", additionalProperties: false },
  "odd names": {
    properties: { 'a"\\\n': { const: "\u2028é" }, __proto__x: { enum: [{ x: [1, null] }, "\n"] } },
    required: ['a"\\\n'],
  },
  anyOf: { anyOf: [{ type: "integer" }, { properties: { k: { const: 1 } }, required: ["k"] }] },
  "oneOf, types": { oneOf: [{ type: "integer" }, { type: "boolean" }] },
  "oneOf, tagged": {
    oneOf: [
      { type: "object", properties: { kind: { const: "a" }, v: { type: "integer" } }, required: ["kind", "v"] },
      { $ref: "#/$defs/b" },
    ],
    $defs: { b: { type: "object", properties: { kind: { enum: ["b", "c"] } }, required: ["kind"] } },
  },
  "allOf, one": {
    allOf: [{ $ref: "#/definitions/n" }],
    description: "d",
    definitions: { n: { type: "integer", minimum: 4 } },
  },
  recursive: {
    $ref: "#/$defs/node",
    $defs: {
      node: {
        type: "object",
        properties: { v: { type: "integer" }, next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] } },
        required: ["v", "next"],
      },
    },
  },
  enum: { enum: ["a", 1, null, { x: [1] }, '\n"q'] },
  "enum of a type": { type: "string", enum: ["a", 3] },
  types: { type: ["integer", "null"] },
  anything: {},
};

describe("whatever a grammar lets through is of its schema", () => {
  test.each(Object.entries(SCHEMAS))("%s", async (_, schema) => {
    const grammar = schemaGrammar(JSON.parse(JSON.stringify(schema)));
    const validate = ajv.compile(schema);
    const seen = new Set<string>();
    for (let seed = 0; seed < 25; seed++) {
      const text = await draw(grammar, seed);
      if (text === undefined) continue;
      seen.add(text);
      if (!validate(JSON.parse(text))) throw new Error(`${text}: ${ajv.errorsText(validate.errors)}`);
    }
    expect(seen.size).toBeGreaterThan(0);
  });
});

test.each<[string, object]>([
  ["#/uniqueItems", { type: "array", uniqueItems: true }],
  ["#/multipleOf", { type: "integer", multipleOf: 3 }],
  ["#/not", { not: { type: "string" } }],
  ["#/if", { type: "object", if: {} }],
  ["#/contains", { type: "array", contains: { const: 3 } }],
  ["#/required", { type: "object", properties: { a: {} }, required: ["b"] }],
  ["lengths, pattern", { type: "string", pattern: "a", minLength: 3 }],
  ["#/format", { type: "string", format: "ipv6" }],
  ["required beside anyOf", { anyOf: [{ type: "object" }], required: ["a"] }],
  ["oneOf", { oneOf: [{ type: "integer" }, { type: "number" }] }],
  ["several schemas at once", { allOf: [{ type: "object" }, { type: "object" }] }],
  ["#/$ref", { $ref: "https://example.com/x" }],
  ["there is nothing at", { $ref: "#/$defs/none" }],
  ["refers to itself", { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }],
  ["#/patternProperties", { type: "object", patternProperties: { a: {} } }],
  ["#/properties/a/pattern", { properties: { a: { type: "string", pattern: "(?=a)b" } } }],
  ["no regular expression", { type: "string", pattern: "(" }],
  ["repeated at most 1000", { type: "string", pattern: "a{100000}" }],
  ["no number is between", { type: "integer", minimum: 3, maximum: 2 }],
  ["is of its type", { type: "string", enum: [3] }],
  ["#/type", { type: "text" }],
  ["expected a schema", { properties: { a: 5 } }],
  ["minProperties", { type: "object", minProperties: 2 }],
])("what cannot be enforced is refused: %s", (message, schema) => {
  expect(() => schemaGrammar(schema)).toThrow(message);
});

test("a grammar is bounded", () => {
  const wide = { properties: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`p${i}`, {}])) };
  expect(() => schemaGrammar(wide)).toThrow(/at most 4096 parts/);
  let deep: object = {};
  for (let i = 0; i < 200; i++) deep = { type: "array", items: deep };
  expect(() => schemaGrammar(deep)).toThrow(/within one another/);
});
