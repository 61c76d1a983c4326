/** What a request to /v1/messages may say. */
import { z } from "zod";
import { ignoredFields } from "../fields.ts";
import { PASSED, passedOf } from "../inner.ts";
import { EFFORTS, list, MAX_STOP_CHARS, MAX_STOPS, parse } from "../schema.ts";

const MAX_MESSAGES = 16_384;
const MAX_BLOCKS = 1024;
const MAX_TOOLS = 128;

const text = z.string();
const flag = z.boolean().nullish();
/** What begins alike is remembered without being asked to. */
const cache_control = z.unknown().optional();
const schema = z.record(z.string(), z.unknown());

const textBlock = z.object({ type: z.literal("text"), text, cache_control, citations: z.null().optional() });
const texts = z.union([text, list(textBlock, MAX_BLOCKS)]);
const block = z.discriminatedUnion("type", [
  textBlock,
  z.object({ type: z.literal("thinking"), thinking: text, signature: text.nullish() }),
  z.object({ type: z.literal("tool_use"), id: text, name: text, input: schema, cache_control }),
  z.object({
    type: z.literal("tool_result"),
    tool_use_id: text,
    content: texts.nullish(),
    is_error: flag,
    cache_control,
  }),
]);
export type Block = z.infer<typeof block>;

const message = z.object({
  role: z.enum(["user", "assistant", "system"]),
  content: z.union([text, list(block, MAX_BLOCKS)]),
});

const tool = z.object({
  type: z.literal("custom").nullish(),
  name: text,
  description: text.nullish(),
  input_schema: schema,
  strict: flag,
  cache_control,
});

const shape = {
  model: text.nullish(),
  messages: list(message, MAX_MESSAGES, 1),
  system: texts.nullish(),
  thinking: z
    .discriminatedUnion("type", [
      z.strictObject({
        type: z.enum(["enabled", "adaptive"]),
        budget_tokens: z.int().min(0).nullish(),
        display: z.enum(["summarized", "omitted"]).nullish(),
      }),
      z.strictObject({ type: z.literal("disabled") }),
    ])
    .nullish(),
  tools: list(tool, MAX_TOOLS).nullish(),
  tool_choice: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.enum(["auto", "any"]), disable_parallel_tool_use: flag }),
      z.strictObject({ type: z.literal("tool"), name: text, disable_parallel_tool_use: flag }),
      z.strictObject({ type: z.literal("none") }),
    ])
    .nullish(),
  output_config: z
    .strictObject({
      effort: z.enum(EFFORTS).nullish(),
      format: z.strictObject({ type: z.literal("json_schema"), schema }).nullish(),
    })
    .nullish(),
};

/** Of `/v1/messages/count_tokens`. */
export const countFields = z.object(shape);
export const messagesFields = z.object({
  ...shape,
  max_tokens: z
    .int()
    .min(1)
    .max(2 ** 31),
  stop_sequences: list(z.string().min(1).max(MAX_STOP_CHARS), MAX_STOPS).nullish(),
  stream: flag,
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  metadata: schema.nullish(),
});

const WORDS: Readonly<Record<string, string>> = {
  messages: "a list of at least one message: {role, content}",
  "messages.role": '"user", "assistant" or "system"',
  "messages.content":
    "a text, or a list of text, thinking, tool_use and tool_result blocks (this model reads only text)",
  system: "a text, or a list of text blocks",
  thinking: '{type: "enabled" | "adaptive"} with budget_tokens and display by choice, or {type: "disabled"}',
  tools: "a list of tools: {name, description, input_schema}; no other tools are here",
  tool_choice: '{type: "auto" | "any" | "none"} or {type: "tool", name}',
  output_config: 'an object with effort and format: {type: "json_schema", schema}',
  max_tokens: "a whole number, 1 or more",
  stop_sequences: `a list of at most ${MAX_STOPS} texts, each of 1 to ${MAX_STOP_CHARS} characters`,
  metadata: "an object",
};

export interface MessagesRequest extends z.infer<typeof messagesFields> {
  /** The chat's own parameters. */
  passed: Record<string, unknown>;
  ignored: string[];
}
export type CountRequest = z.infer<typeof countFields> & { ignored: string[] };

/** Where it runs, and how a prompt is remembered: they change no answer. */
const HARMLESS = ["cache_control", "inference_geo", "speed"];
const KNOWN = new Set<string>([...Object.keys(messagesFields.shape), ...PASSED, ...HARMLESS]);
const COUNTED = new Set<string>([...Object.keys(countFields.shape), ...HARMLESS]);

export function parseMessages(body: unknown): MessagesRequest {
  const request = parse(messagesFields, "messages", body, WORDS);
  return { ...request, passed: passedOf(body), ignored: ignoredFields(body as Record<string, unknown>, KNOWN) };
}

export function parseCount(body: unknown): CountRequest {
  const request = parse(countFields, "count", body, WORDS);
  return { ...request, ignored: ignoredFields(body as Record<string, unknown>, COUNTED) };
}
