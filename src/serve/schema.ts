import { z } from "zod";
import { ApiError } from "../errors.ts";

/** Most sequences (prompts times n) that one request may ask for. */
const MAX_CHOICES = 2048;
const MAX_STOPS = 64;
const MAX_LOGPROBS = 20;

const number = (min: number, max: number) => z.number().min(min).max(max).nullish();
const integer = (min: number, max: number) => z.int().min(min).max(max).nullish();

/** What each parameter takes, in words, for error messages. A nested one falls back on its parent. */
const EXPECTED: Record<string, string> = {
  "": "a JSON object",
  model: "the id of a model, as text",
  temperature: "a number from 0 to 2",
  top_p: "a number from 0 to 1",
  top_k: "a whole number, 0 (all tokens) or more",
  min_p: "a number from 0 to 1",
  frequency_penalty: "a number from -2 to 2",
  presence_penalty: "a number from -2 to 2",
  logit_bias: "an object of token ids with biases from -100 to 100",
  seed: "a whole number",
  stop: `a text, or a list of at most ${MAX_STOPS} texts`,
  max_tokens: "a whole number, 0 or more",
  max_completion_tokens: "a whole number, 1 or more",
  n: "a whole number from 1 to 128",
  best_of: "the same number as n, or nothing: choosing the best of several is not supported",
  stream: "true or false",
  stream_options: "an object with include_usage: true or false",
  echo: "true or false",
  suffix: "nothing: text after the insertion is not supported",
  prompt: "a text, a list of texts, a list of token ids, or a list of lists of token ids, none of them empty lists",
  messages: "a list of at least one message: {role, content}",
  "messages.role": '"system", "developer", "user" or "assistant"',
  "messages.content": 'a text, or a list of {type: "text", text} parts (this model reads only text)',
  top_logprobs: `a whole number from 0 to ${MAX_LOGPROBS}`,
  tools: "nothing: this model calls no tools",
  functions: "nothing: this model calls no functions",
  tool_choice: '"none" or "auto": this model calls no tools',
  response_format: '{type: "text"}: other formats are not supported',
  modalities: '["text"]',
  truncation: '"auto" (leave out the oldest turns that do not fit) or "disabled"',
  chat_template_kwargs: "an object with thinking: true or false",
  thinking: '{type: "enabled"} or {type: "disabled"}',
};

const common = {
  model: z.string().nullish(),
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: integer(-1, 2 ** 31),
  min_p: number(0, 1),
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(MAX_STOPS)]).nullish(),
  n: integer(1, 128),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
};

const ids = z.array(z.int().min(0)).min(1);

export const completionSchema = z
  .looseObject({
    ...common,
    prompt: z.union([z.string(), ids, z.array(z.string()).min(1), z.array(ids).min(1)]).nullish(),
    max_tokens: integer(0, 2 ** 31),
    echo: z.boolean().nullish(),
    logprobs: integer(0, MAX_LOGPROBS),
    best_of: z.int().nullish(),
    suffix: z.literal("").nullish(),
  })
  .refine((r) => r.best_of == null || r.best_of === (r.n ?? 1), { path: ["best_of"] });

const textPart = z.looseObject({ type: z.enum(["text", "input_text", "output_text"]), text: z.string() });
const content = z.union([z.string(), z.array(textPart)]);
const message = z.discriminatedUnion("role", [
  z.looseObject({ role: z.enum(["system", "developer", "user"]), content }),
  z.looseObject({ role: z.literal("assistant"), content: content.nullish(), reasoning_content: z.string().nullish() }),
]);

export const chatSchema = z.looseObject({
  ...common,
  messages: z.array(message).min(1),
  max_tokens: integer(1, 2 ** 31),
  max_completion_tokens: integer(1, 2 ** 31),
  logprobs: z.boolean().nullish(),
  top_logprobs: integer(0, MAX_LOGPROBS),
  tools: z.array(z.unknown()).max(0).nullish(),
  functions: z.array(z.unknown()).max(0).nullish(),
  tool_choice: z.enum(["none", "auto"]).nullish(),
  response_format: z.looseObject({ type: z.literal("text") }).nullish(),
  modalities: z.array(z.literal("text")).nullish(),
  truncation: z.enum(["auto", "disabled"]).nullish(),
  chat_template_kwargs: z.looseObject({ thinking: z.boolean().nullish() }).nullish(),
  thinking: z.looseObject({ type: z.enum(["enabled", "disabled"]) }).nullish(),
});
EXPECTED["chat.max_tokens"] = EXPECTED.max_completion_tokens;
EXPECTED["chat.logprobs"] = "true or false";
EXPECTED["completion.logprobs"] = `a whole number from 0 to ${MAX_LOGPROBS}`;

export type CompletionRequest = z.infer<typeof completionSchema>;
export type ChatRequest = z.infer<typeof chatSchema>;
export type CommonRequest = Pick<ChatRequest, keyof typeof common>;

/** Checks a request body. Throws ApiError 400, in OpenAI's shape, that names the parameter, what it takes and what came. */
export function parseCompletion(body: unknown): CompletionRequest {
  return parse(completionSchema, "completion", body);
}

export function parseChat(body: unknown): ChatRequest {
  return parse(chatSchema, "chat", body);
}

function parse<T>(schema: z.ZodType<T>, kind: string, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const { path } = result.error.issues[0];
  const names = path.filter((p): p is string => typeof p === "string");
  let expected: string | undefined;
  let depth = names.length;
  for (; expected === undefined && depth >= 0; depth--) {
    const name = names.slice(0, depth).join(".");
    expected = EXPECTED[`${kind}.${name}`] ?? EXPECTED[name];
  }
  const value = at(body, path);
  const param = path.reduce<string>((s, p) => (typeof p === "number" ? `${s}[${p}]` : s === "" ? String(p) : `${s}.${String(p)}`), "");
  const missing = value === undefined;
  throw new ApiError(
    400,
    `${param === "" ? "body" : param}: expected ${expected}, got ${preview(value)}`,
    "invalid_request_error",
    missing ? "missing_required_parameter" : "invalid_value",
    param === "" ? null : param,
  );
}

function at(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** A value as a short piece of JSON. */
function preview(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** The prompts of a completion request as texts or token ids; one empty text when there is none. */
export function promptsOf(prompt: CompletionRequest["prompt"]): (string | number[])[] {
  if (prompt == null) return [""];
  if (typeof prompt === "string") return [prompt];
  if (typeof prompt[0] === "number") return [prompt as number[]];
  return prompt as (string | number[])[];
}

/** Whether the model is told to think (vLLM's way of asking, or DeepSeek's); undefined leaves it to the model. */
export function thinkingOf(request: ChatRequest): boolean | undefined {
  return request.chat_template_kwargs?.thinking ?? (request.thinking ? request.thinking.type === "enabled" : undefined);
}

/** Refuses a request for too many sequences. */
export function checkChoices(prompts: number, n: number): void {
  if (prompts * n > MAX_CHOICES)
    throw new ApiError(400, `n: expected at most ${MAX_CHOICES} answers in one request, got ${prompts} prompts × ${n}`, "invalid_request_error", "invalid_value", "n");
}
