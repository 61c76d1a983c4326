/** The calls that a model may write, as a grammar: markup, names, and arguments by each tool's schema. */
import { type ApiError, invalidValue } from "../../errors.ts";
import { literal } from "../structure/characters.ts";
import { StructureError } from "../structure/error.ts";
import { schemaGrammar } from "../structure/jsonSchema.ts";
import { STAND_INS } from "../structure/marks.ts";
import type { Markup, Tool } from "./format.ts";
import { parametersGrammar } from "./parametersGrammar.ts";

/** Most calls of an answer: one that goes in circles ends. */
const MOST_CALLS = 32;
const ANY_ARGUMENTS = { type: "object" };

export interface CallGrammarOptions {
  /** More than one call. */
  parallel: boolean;
  /** The first rule of what may be written instead, and its rules. */
  other?: { root: string; rules: string };
  /** Schemas are enforced: all of them, or those that can be; or only those of strict tools. Arguments of the others are any JSON object. */
  enforce: "all" | "possible" | "strict";
}

/**
 * A grammar (GBNF, root `root`) of calls of these tools, with up to two empty lines before. Throws ApiError 400 for a schema that must be enforced and cannot
 * be; `places` are the tools' places in the request.
 */
export function callGrammar(
  tools: readonly Tool[],
  markup: Markup,
  { parallel, other, enforce }: CallGrammarOptions,
  places: readonly number[],
): string {
  const { open, begin, middle, end, between, close } = markup.format;
  const said = (text: string): string => literal(markup.standIns(text, STAND_INS));
  const rules = tools.map((tool, i) => argumentRules(tool, markup, `t${i}-`, enforce, places[i] ?? i));
  const bodies = tools.map(({ name }, i) => `${said(`${name}${middle}`)} t${i}-root ${said(end)}`);
  const more = parallel ? `(${said(between + begin)} body){0,${MOST_CALLS - 1}} ` : "";
  return [
    `root ::= ${other === undefined ? "calls" : `calls | ${other.root}`}`,
    `calls ::= ("\\n" "\\n"?)? ${said(open + begin)} body ${more}${said(close)}`,
    `body ::= ${bodies.join(" | ")}`,
    ...rules,
    ...(other === undefined ? [] : [other.rules]),
  ].join("\n");
}

function argumentRules(
  tool: Tool,
  markup: Markup,
  prefix: string,
  enforce: CallGrammarOptions["enforce"],
  place: number,
): string {
  const { parameters } = markup.format;
  const rules = (schema: Record<string, unknown>): string =>
    parameters === undefined ? schemaGrammar(schema, prefix) : parametersGrammar(schema, parameters, markup, prefix);
  if (enforce === "strict" && !tool.strict) return rules(ANY_ARGUMENTS);
  try {
    return rules(objectSchema(tool.parameters));
  } catch (error) {
    if (!(error instanceof StructureError)) throw error;
    if (tool.strict ?? enforce === "all") throw refused(place, error);
    return rules(ANY_ARGUMENTS);
  }
}

function refused(place: number, { message }: StructureError): ApiError {
  const param = `tools[${place}].function.parameters`;
  return invalidValue(`${param}: ${message}`, param);
}

/** Arguments are an object, whether the schema says so or not. */
function objectSchema(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { type } = schema;
  if (type === "object") return schema;
  const says = ["$ref", "anyOf", "oneOf", "allOf", "enum", "const", "type"].find((key) => Object.hasOwn(schema, key));
  if (says === undefined) return { type: "object", ...schema };
  throw new StructureError(`#/${says}: expected type "object" of a function's parameters`);
}
