/** What a request to /v1/responses may say. */
import { z } from "zod";
import { ignoredFields } from "../fields.ts";
import { PASSED, passedOf } from "../inner.ts";
import { EFFORTS, list, parse } from "../schema.ts";

const MAX_ITEMS = 16_384;
const MAX_PARTS = 1024;
const MAX_TOOLS = 128;

const text = z.string();
const flag = z.boolean().nullish();
const textPart = z.object({ type: z.enum(["input_text", "output_text", "text"]), text });
const content = z.union([text, list(textPart, MAX_PARTS)]);
const ofType = <Type extends string>(type: Type, ...parts: readonly Type[]) =>
  list(z.object({ type: z.enum([type, ...parts]), text }), MAX_PARTS).nullish();

/** An item of a conversation. */
const item = z.union([
  z.object({
    type: z.literal("message").nullish(),
    role: z.enum(["user", "assistant", "system", "developer"]),
    content,
  }),
  z.object({
    type: z.literal("reasoning"),
    summary: ofType("summary_text"),
    content: ofType("reasoning_text", "text"),
    // ours have none, and others' cannot be read
    encrypted_content: z.literal("").nullish(),
  }),
  z.object({ type: z.literal("function_call"), call_id: text, name: text, arguments: text }),
  z.object({ type: z.literal("function_call_output"), call_id: text, output: content }),
  z.object({ type: z.literal("item_reference"), id: text }),
]);
export type InputItem = z.infer<typeof item>;
/** What says something by itself. */
export type Item = Exclude<InputItem, { type: "item_reference" }>;

const format = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({
    type: z.literal("json_schema"),
    name: text,
    schema: z.record(z.string(), z.unknown()),
    description: text.nullish(),
    strict: flag,
  }),
]);

const tool = z.strictObject({
  type: z.literal("function"),
  name: text,
  description: text.nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: flag,
});

export const responsesFields = z.object({
  model: text.nullish(),
  input: z.union([text, list(item, MAX_ITEMS, 1)]),
  instructions: text.nullish(),
  previous_response_id: text.nullish(),
  store: flag,
  stream: flag,
  stream_options: z.strictObject({ include_obfuscation: z.literal(false).nullish() }).nullish(),
  max_output_tokens: z
    .int()
    .min(1)
    .max(2 ** 31)
    .nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  reasoning: z
    .strictObject({
      effort: z.enum(EFFORTS).nullish(),
      summary: z.literal("auto").nullish(),
      generate_summary: z.literal("auto").nullish(),
    })
    .nullish(),
  text: z.strictObject({ format: format.nullish(), verbosity: z.literal("medium").nullish() }).nullish(),
  tools: list(tool, MAX_TOOLS).nullish(),
  tool_choice: z
    .union([z.enum(["none", "auto", "required"]), z.strictObject({ type: z.literal("function"), name: text })])
    .nullish(),
  parallel_tool_calls: flag,
  truncation: z.enum(["auto", "disabled"]).nullish(),
  include: list(z.enum(["message.output_text.logprobs", "reasoning.encrypted_content"]), 16).nullish(),
  background: z.literal(false).nullish(),
  conversation: z.null().optional(),
  prompt: z.null().optional(),
  max_tool_calls: z.null().optional(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});

const WORDS: Readonly<Record<string, string>> = {
  input: `a text, or a list of items: {role, content}, {type: "reasoning"}, {type: "function_call"}, {type: "function_call_output"}, {type: "item_reference"}; texts only`,
  instructions: "a text",
  previous_response_id: "the id of a response, as text",
  store: "true or false",
  stream_options: "an object with include_obfuscation: false, or nothing",
  max_output_tokens: "a whole number, 1 or more",
  top_logprobs: "a whole number from 0 to 20",
  reasoning: 'an object with effort, and summary: "auto" or nothing (thoughts come whole, not in summary)',
  text: 'an object with format ({type: "text"}, {type: "json_object"} or {type: "json_schema", name, schema}) and verbosity: "medium"',
  tools: 'a list of functions: {type: "function", name, parameters}; no other tools are here',
  tool_choice: '"none", "auto", "required" or {type: "function", name}',
  parallel_tool_calls: "true or false",
  include:
    'a list of "message.output_text.logprobs" and "reasoning.encrypted_content" (which changes nothing: thoughts come in plain text)',
  background: "false: nothing is answered later",
  conversation: "nothing: use previous_response_id",
  prompt: "nothing: no prompts are kept here",
  max_tool_calls: "nothing: no tools are called here",
  metadata: "an object",
};

export interface ResponsesRequest extends z.infer<typeof responsesFields> {
  /** The chat's own parameters. */
  passed: Record<string, unknown>;
  ignored: string[];
}

const KNOWN = new Set<string>([...Object.keys(responsesFields.shape), ...PASSED]);

export function parseResponses(body: unknown): ResponsesRequest {
  const request = parse(responsesFields, "responses", body, WORDS);
  return {
    ...request,
    passed: passedOf(body),
    ignored: ignoredFields(body as Record<string, unknown>, KNOWN),
  };
}
