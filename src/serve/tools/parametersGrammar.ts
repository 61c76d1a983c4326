/** Arguments that are written one by one, as a grammar by a JSON Schema of the object that they are. */
import { briefJson, isRecord } from "../../json.ts";
import { ALL, type Characters, classOf, literal, without } from "../structure/characters.ts";
import { StructureError } from "../structure/error.ts";
import { schemaGrammar } from "../structure/jsonSchema.ts";
import { STAND_INS } from "../structure/marks.ts";
import { repeat } from "../structure/regex.ts";
import type { Markup, ParameterMarkup } from "./format.ts";

/** Words of a schema that say nothing of its values, or that they are texts of a length. */
const NOTES = new Set(["type", "title", "description", "default", "examples", "deprecated"]);
const LENGTHS = ["minLength", "maxLength"] as const;

/**
 * Arguments in the schema's order. Texts of any length or of some, and those of a list, stand as they are; everything else as JSON. All rules, of which the first is
 * `root`, have the prefix. Throws StructureError.
 */
export function parametersGrammar(
  schema: Readonly<Record<string, unknown>>,
  { open, kind, middle, close }: ParameterMarkup,
  markup: Markup,
  prefix: string,
): string {
  // all of it can be enforced, or none of it is
  schemaGrammar(schema);
  const said = (text: string): string => literal(markup.standIns(text, STAND_INS));
  const properties = isRecord(schema["properties"]) ? Object.entries(schema["properties"]) : [];
  const required = Array.isArray(schema["required"]) ? (schema["required"] as unknown[]) : [];
  if (properties.length === 0) {
    if (schema["additionalProperties"] === false || schema["properties"] !== undefined) return `${prefix}root ::= ""`;
    const more = schemaGrammar(
      isRecord(schema["additionalProperties"]) ? schema["additionalProperties"] : true,
      `${prefix}v-`,
    );
    const one = `${said(open)} [A-Za-z0-9_.-]{1,64} ${said(`${kind}false${middle}`)} ${prefix}v-root ${said(close)}`;
    return `${prefix}root ::= (${one})*\n${more}`;
  }
  const definitions = Object.fromEntries(
    ["$defs", "definitions"].flatMap((key) => (key in schema ? [[key, schema[key]]] : [])),
  );
  const rules: string[] = [];
  const parts = properties.map(([name, of], i) => {
    if (/["<\p{Cc}]/u.test(name))
      throw new StructureError(
        `#/properties: expected names without ", < and control characters, got ${briefJson(name)}`,
      );
    const given = isRecord(of) ? of : {};
    const text = textRule(given, close, markup);
    const isText = text !== undefined;
    if (!isText) rules.push(schemaGrammar(isRecord(of) ? { ...of, ...definitions } : of, `${prefix}p${i}-`));
    const value = text ?? `${prefix}p${i}-root`;
    const one = `${said(`${open}${name}${kind}${isText}${middle}`)} ${value} ${said(close)}`;
    return required.includes(name) ? one : `(${one})?`;
  });
  return [`${prefix}root ::= ${parts.join(" ")}`, ...rules].join("\n");
}

const CONTROLS: Characters = [
  [0, 8],
  [0xb, 0xc],
  [0xe, 0x1f],
];
const LESS: Characters = [[0x3c, 0x3c]];
const SLASH: Characters = [[0x2f, 0x2f]];

/** A text as it stands; undefined where the schema wants more of it than a length, or something else. */
function textRule(schema: Readonly<Record<string, unknown>>, close: string, markup: Markup): string | undefined {
  const { enum: values, type } = schema;
  const others = Object.keys(schema).filter((key) => !NOTES.has(key));
  if (type !== undefined && type !== "string") return undefined;
  if (others.join() === "enum" && Array.isArray(values)) {
    const texts = values.filter((value) => typeof value === "string" && !HARD.test(value)) as string[];
    return texts.length === values.length ? `(${texts.map(literal).join(" | ")})` : undefined;
  }
  if (type === undefined || others.some((key) => !(LENGTHS as readonly string[]).includes(key))) return undefined;
  const free = without(ALL, CONTROLS);
  // where what closes it has a token of its own, all but that; else nothing with the characters that it begins with
  const one =
    markup.standIns(close, STAND_INS) !== close
      ? classOf(free)
      : `(${classOf(without(free, LESS))} | "<" ${classOf(without(free, SLASH))})`;
  const [min = 0, max = Infinity] = LENGTHS.map((key) => schema[key] as number | undefined);
  if (others.length > 0 && one?.startsWith("(")) return undefined;
  return `${one}${repeat(min, max)}`;
}

/** What a text that stands as it is cannot hold. */
const HARD = /[<\p{Cc}]/u;
