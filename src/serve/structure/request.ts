/** What a request says about the structure of its answer, in all spellings, as a grammar. */
import { type ApiError, invalidValue } from "../../errors.ts";
import { parseJson } from "../../json.ts";
import type { CommonRequest } from "../schema.ts";
import { literal } from "./characters.ts";
import { StructureError } from "./error.ts";
import { schemaGrammar } from "./jsonSchema.ts";
import { regexGrammar } from "./regex.ts";

type Structure = { schema: unknown } | { grammar: string } | { regex: string } | { choice: readonly string[] };

/** The grammar (GBNF, root `root`) that an answer is bound to, and the parameter that asks for it; undefined: to none. Throws ApiError 400 for what cannot be enforced, and for two structures at once. With a prefix, which its rules then have, for use in another grammar, one in GBNF is refused. */
export function grammarOf(request: CommonRequest, prefix = ""): { param: string; grammar: string } | undefined {
  const asked = structuresOf(request);
  const [first, second] = asked;
  if (first === undefined) return undefined;
  const [param, structure] = first;
  const refuse = (message: string): ApiError => invalidValue(message, param);
  if (second !== undefined)
    throw refuse(`${param}: expected one structure for the answer, got ${second[0]} too; leave one of them out`);
  for (const other of ["ignore_eos", "min_tokens"] as const)
    if (request[other])
      throw refuse(`${other}: expected nothing beside ${param}: a structure says itself where the answer ends`);
  try {
    return { param, grammar: textOf(structure, prefix) };
  } catch (error) {
    if (!(error instanceof StructureError)) throw error;
    throw refuse(`${param}: ${error.message}`);
  }
}

function textOf(structure: Structure, prefix: string): string {
  if ("schema" in structure) return schemaGrammar(structure.schema, prefix);
  if ("grammar" in structure) {
    if (prefix !== "")
      throw new StructureError("expected no grammar beside tools; a JSON Schema can stand beside them");
    return structure.grammar;
  }
  if ("regex" in structure) return `${prefix}root ::= ${regexGrammar(structure.regex, { json: false, whole: true })}`;
  return `${prefix}root ::= ${structure.choice.map(literal).join(" | ")}`;
}

const ANY_OBJECT = { type: "object" };

function structuresOf(request: CommonRequest): (readonly [param: string, structure: Structure])[] {
  const { response_format: format, structured_outputs: outputs } = request;
  const given: (readonly [string, Structure | undefined])[] = [
    [
      "response_format",
      format == null || format.type === "text"
        ? undefined
        : { schema: format.type === "json_schema" ? format.json_schema.schema : (format.schema ?? ANY_OBJECT) },
    ],
    ["json_schema", request.json_schema == null ? undefined : { schema: request.json_schema }],
    ["grammar", request.grammar == null ? undefined : { grammar: request.grammar }],
    ["structured_outputs.json", schemaOf(outputs?.json)],
    ["guided_json", schemaOf(request.guided_json)],
    ["structured_outputs.json_object", outputs?.json_object ? { schema: ANY_OBJECT } : undefined],
    ["structured_outputs.regex", outputs?.regex == null ? undefined : { regex: outputs.regex }],
    ["structured_outputs.choice", outputs?.choice == null ? undefined : { choice: outputs.choice }],
    ["structured_outputs.grammar", outputs?.grammar == null ? undefined : { grammar: outputs.grammar }],
    ["guided_regex", request.guided_regex == null ? undefined : { regex: request.guided_regex }],
    ["guided_choice", request.guided_choice == null ? undefined : { choice: request.guided_choice }],
    ["guided_grammar", request.guided_grammar == null ? undefined : { grammar: request.guided_grammar }],
  ];
  return given.filter((one): one is readonly [string, Structure] => one[1] !== undefined);
}

/** vLLM takes a schema as its JSON too; what is none is refused as any text in a schema's place. */
function schemaOf(value: unknown): Structure | undefined {
  if (value == null) return undefined;
  if (typeof value !== "string") return { schema: value };
  try {
    return { schema: parseJson(value) };
  } catch {
    return { schema: value };
  }
}
