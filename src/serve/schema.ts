/** What a request may say: OpenAI's parameters, checked. Lists are measured before they are read, and reading ends at the first fault. */
import { z } from "zod";
import { ApiError, invalidValue } from "../errors.ts";
import { briefJson } from "../json.ts";
import { checkLeast, leastTokens, type RequestBounds, UNBOUNDED } from "./bounds.ts";
import { ignoredFields } from "./fields.ts";
import { THINK_CLOSE } from "./text.ts";
import { TOOL_NAME } from "./tools/format.ts";

/** Most sequences (prompts times n) that one request may ask for. */
const MAX_CHOICES = 2048;
export const MAX_STOPS = 64;
export const MAX_STOP_CHARS = 1024;
const MAX_LOGPROBS = 20;
const MAX_PARAMETERS = 256;
const MAX_MESSAGES = 16_384;
/** Most parts of one message's content. */
const MAX_PARTS = 1024;
const MAX_VARIABLES = 64;
const MAX_CHOICE = 4096;
const MAX_TOOLS = 256;
/** Most calls of one message. */
const MAX_CALLS = 256;

const number = (min: number, max: number) => z.number().min(min).max(max).nullish();
const integer = (min: number, max: number) => z.int().min(min).max(max).nullish();

/** A list of at most so many items, measured before it is read; reading ends at the first fault. */
export function list<T>(item: z.ZodType<T>, max: number, min = 0): z.ZodType<T[]> {
  const schema = z.unknown().transform((value, context) => {
    const items: T[] = [];
    const fail = (path: PropertyKey[]) => {
      context.issues.push({ code: "custom", input: value, path });
      return z.NEVER;
    };
    if (!Array.isArray(value) || value.length < min || value.length > max) return fail([]);
    for (const [i, one] of value.entries()) {
      const result = item.safeParse(one);
      if (!result.success) return fail([i, ...(result.error.issues[0]?.path ?? [])]);
      items.push(result.data);
    }
    return items;
  });
  LISTS.set(schema, { item, max, min });
  return schema;
}

interface ListShape {
  item: z.ZodType;
  max: number;
  min: number;
}
const LISTS = new WeakMap<object, ListShape>();

/** What a list that is measured first may hold; undefined for other schemas. */
export const listOf = (schema: object): ListShape | undefined => LISTS.get(schema);

const IDS = { type: "array", items: { type: "integer", minimum: 0 }, minItems: 1 };
/** Of what is checked by hand, for its description. */
export const PROMPT_SHAPE = {
  anyOf: [
    { type: "string" },
    { type: "array", items: { type: "string" }, minItems: 1 },
    IDS,
    { type: "array", items: IDS, minItems: 1 },
  ],
};
const BIAS_SHAPE = {
  type: "object",
  propertyNames: { pattern: "^[0-9]{1,9}$" },
  additionalProperties: { type: "number", minimum: -100, maximum: 100 },
};

export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

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
  repetition_penalty: "a number from 0.01 to 100; 1 changes nothing",
  min_tokens: "a whole number, 0 or more, at most max_tokens",
  ignore_eos: "true or false",
  stop_token_ids: `a list of at most ${MAX_STOPS} token ids`,
  logit_bias: "an object of token ids with biases from -100 to 100",
  seed: "a whole number",
  stop: `a text, or a list of at most ${MAX_STOPS} texts, each of at most ${MAX_STOP_CHARS} characters`,
  max_tokens: "a whole number, 0 or more",
  max_completion_tokens: "a whole number, 1 or more",
  n: "a whole number from 1 to 128",
  best_of: "the same number as n, or nothing: choosing the best of several is not supported",
  stream: "true or false",
  stream_options: "an object with include_usage: true or false, and stream: true beside it",
  timings_per_token: "true or false",
  echo: "true or false",
  suffix: "nothing: text after the insertion is not supported",
  prompt: "a text, a list of texts, a list of token ids, or a list of lists of token ids, none of them empty lists",
  messages: "a list of at least one message: {role, content}",
  "messages.role": '"system", "developer", "user", "assistant" or "tool"',
  "messages.content": 'a text, or a list of {type: "text", text} parts (this model reads only text)',
  top_logprobs: `a whole number from 0 to ${MAX_LOGPROBS}, and logprobs: true beside it`,
  tools: `a list of at most ${MAX_TOOLS} tools: {type: "function", function: {name, description, parameters, strict}}`,
  "tools.function.name": "a name of 1 to 64 letters, digits, _, . and -",
  "tools.function.parameters": "a JSON Schema of an object",
  "tools.function.strict": "true or false",
  functions: "nothing: describe functions in tools",
  tool_choice: '"auto", "none", "required" or {type: "function", function: {name}}, and tools beside it',
  parallel_tool_calls: "true or false",
  response_format: '{type: "text"}, {type: "json_object"} or {type: "json_schema", json_schema: {name, schema}}',
  json_schema: "a JSON Schema: an object, or true",
  grammar: "a grammar in GBNF, as text",
  structured_outputs: "an object with json, regex, choice, grammar or json_object",
  guided_json: "a JSON Schema, or its JSON as text",
  guided_regex: "a regular expression, as text",
  guided_choice: `a list of 1 to ${MAX_CHOICE} texts`,
  guided_grammar: "a grammar in GBNF, as text",
  modalities: '["text"]',
  truncation: '"auto" (leave out the oldest turns that do not fit) or "disabled"',
  chat_template_kwargs: `an object of at most ${MAX_VARIABLES} variables for the chat template, such as thinking: true or false`,
  thinking: '{type: "enabled"}, {type: "disabled"} or {type: "adaptive"}, with budget_tokens by choice',
  "thinking.budget_tokens": "a whole number, 0 or more",
  enable_thinking: "true or false",
  reasoning_effort: EFFORTS.map((effort) => `"${effort}"`).join(", "),
  reasoning: "an object with effort, max_tokens, enabled and exclude, each by choice",
  thinking_budget: "a whole number, 0 or more",
  thinking_token_budget: "a whole number, 0 or more",
  thinking_budget_tokens: "a whole number, 0 or more",
  continue_final_message: "true or false; true wants an assistant's message at the end",
  add_generation_prompt: "true, unless an assistant's message at the end is continued",
  "messages.prefix": "true, and only in an assistant's message at the end",
  "messages.tool_calls": `a list of at most ${MAX_CALLS} calls: {id, type: "function", function: {name, arguments: JSON as text}}`,
  "messages.tool_call_id": "the id of a call that the assistant's message before it made",
};

const stopText = z.string().max(MAX_STOP_CHARS);

const jsonSchema = z.union([z.record(z.string(), z.unknown()), z.boolean()]);
const choice = list(z.string().min(1), MAX_CHOICE, 1).nullish();
const text = z.string().nullish();
const structure = {
  response_format: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("json_object"), schema: jsonSchema.nullish() }),
      z.object({ type: z.literal("json_schema"), json_schema: z.object({ schema: jsonSchema }) }),
    ])
    .nullish(),
  json_schema: jsonSchema.nullish(),
  grammar: text,
  structured_outputs: z
    .strictObject({
      json: z.union([jsonSchema, z.string()]).nullish(),
      regex: text,
      choice,
      grammar: text,
      json_object: z.boolean().nullish(),
    })
    .nullish(),
  guided_json: z.union([jsonSchema, z.string()]).nullish(),
  guided_regex: text,
  guided_choice: choice,
  guided_grammar: text,
};

const common = {
  ...structure,
  model: z.string().nullish(),
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: integer(-1, 2 ** 31),
  min_p: number(0, 1),
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  logit_bias: z.custom<Record<string, number>>(isBias).meta(BIAS_SHAPE).nullish(),
  repetition_penalty: number(0.01, 100),
  min_tokens: integer(0, 2 ** 31),
  ignore_eos: z.boolean().nullish(),
  stop_token_ids: list(
    z
      .int()
      .min(0)
      .max(2 ** 31),
    MAX_STOPS,
  ).nullish(),
  seed: z.int().nullish(),
  stop: z.union([stopText, list(stopText, MAX_STOPS)]).nullish(),
  n: integer(1, 128),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  timings_per_token: z.boolean().nullish(),
};

export type Prompt = string | string[] | number[] | number[][];

/** What goes wrong between parameters of both kinds. */
const beside = (r: { stream?: boolean | null; stream_options?: unknown }): boolean =>
  r.stream === true || r.stream_options == null;
const leastFits = (r: { min_tokens?: number | null; max_tokens?: number | null }): boolean =>
  r.min_tokens == null || r.max_tokens == null || r.min_tokens <= r.max_tokens;

export const completionFields = z
  .object({
    ...common,
    /** Checked by `checkPrompt`. */
    prompt: z
      .custom<Prompt>(() => true)
      .meta(PROMPT_SHAPE)
      .nullish(),
    max_tokens: integer(0, 2 ** 31),
    echo: z.boolean().nullish(),
    logprobs: integer(0, MAX_LOGPROBS),
    best_of: z.int().nullish(),
    suffix: z.literal("").nullish(),
  })
  .refine((r) => r.best_of == null || r.best_of === (r.n ?? 1), { path: ["best_of"] })
  .refine(beside, { path: ["stream_options"] })
  .refine(leastFits, { path: ["min_tokens"] });

const textPart = z.object({ type: z.enum(["text", "input_text", "output_text"]), text: z.string() });
const content = z.union([z.string(), list(textPart, MAX_PARTS)]);
const toolName = z.string().regex(TOOL_NAME);
const toolCall = z.object({
  id: z.string().min(1).max(256),
  type: z.literal("function").nullish(),
  function: z.object({ name: toolName, arguments: z.string() }),
});
const message = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer", "user"]), content }),
  z.object({
    role: z.literal("assistant"),
    content: content.nullish(),
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
    prefix: z.boolean().nullish(),
    tool_calls: list(toolCall, MAX_CALLS).nullish(),
  }),
  z.object({ role: z.literal("tool"), content, tool_call_id: z.string().max(256) }),
]);
const MESSAGE_FIELDS = new Set([
  "role",
  "content",
  "reasoning_content",
  "reasoning",
  "prefix",
  "tool_calls",
  "tool_call_id",
]);

const tool = z.object({
  type: z.literal("function"),
  function: z.object({
    name: toolName,
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});
const toolChoice = z.union([
  z.enum(["none", "auto", "required"]),
  z.object({ type: z.literal("function"), function: z.object({ name: toolName }) }),
]);

const budget = integer(0, 2 ** 31);
const effort = z.enum(EFFORTS).nullish();
const variables = z
  .record(z.string(), z.unknown())
  .refine((given) => Object.keys(given).length <= MAX_VARIABLES)
  .nullish();

export const chatFields = z.object({
  ...common,
  messages: list(message, MAX_MESSAGES, 1),
  max_tokens: integer(1, 2 ** 31),
  max_completion_tokens: integer(1, 2 ** 31),
  logprobs: z.boolean().nullish(),
  top_logprobs: integer(0, MAX_LOGPROBS),
  tools: list(tool, MAX_TOOLS).nullish(),
  functions: list(z.never(), 0).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  modalities: list(z.literal("text"), 8).nullish(),
  truncation: z.enum(["auto", "disabled"]).nullish(),
  chat_template_kwargs: variables,
  thinking: z.object({ type: z.enum(["enabled", "disabled", "adaptive"]), budget_tokens: budget }).nullish(),
  enable_thinking: z.boolean().nullish(),
  reasoning_effort: effort,
  reasoning: z
    .object({ effort, max_tokens: budget, enabled: z.boolean().nullish(), exclude: z.boolean().nullish() })
    .nullish(),
  thinking_budget: budget,
  thinking_token_budget: budget,
  thinking_budget_tokens: budget,
  continue_final_message: z.boolean().nullish(),
  add_generation_prompt: z.boolean().nullish(),
});
type ChatFields = z.infer<typeof chatFields>;

/** An assistant's message at the end is gone on with, unless that is declined. */
const endsWithAnswer = (r: ChatFields): boolean => r.messages.at(-1)?.role === "assistant";
const chatSchema = chatFields
  .refine(beside, { path: ["stream_options"] })
  .refine((r) => r.min_tokens == null || r.min_tokens <= (r.max_completion_tokens ?? r.max_tokens ?? Infinity), {
    path: ["min_tokens"],
  })
  .refine((r) => r.top_logprobs == null || r.logprobs === true, { path: ["top_logprobs"] })
  .refine((r) => r.continue_final_message !== true || endsWithAnswer(r), { path: ["continue_final_message"] })
  .refine((r) => r.add_generation_prompt !== false || (endsWithAnswer(r) && r.continue_final_message !== false), {
    path: ["add_generation_prompt"],
  })
  .refine(
    (r) => r.messages.every((m, i) => m.role !== "assistant" || m.prefix !== true || i === r.messages.length - 1),
    { path: ["messages", "prefix"] },
  );
EXPECTED["chat.max_tokens"] = EXPECTED.max_completion_tokens!;
EXPECTED["chat.logprobs"] = "true or false";
EXPECTED["completion.logprobs"] = `a whole number from 0 to ${MAX_LOGPROBS}`;

/** `ignored`: names of fields that mean nothing here. */
export type CompletionRequest = z.infer<typeof completionFields> & { ignored: string[] };
export type ChatRequest = ChatFields & { ignored: string[] };
export type CommonRequest = Pick<ChatRequest, keyof typeof common>;

const COMPLETION_FIELDS = new Set(Object.keys(completionFields.shape));
const CHAT_FIELDS = new Set(Object.keys(chatFields.shape));

/** Whether the answer goes on with the assistant's message at the end. */
export const continues = (request: ChatRequest): boolean =>
  endsWithAnswer(request) && request.continue_final_message !== false;

/** Checks a request body. Throws ApiError 400, in OpenAI's shape, that names the parameter, what it takes and what came. */
export function parseCompletion(body: unknown, bounds: RequestBounds = UNBOUNDED): CompletionRequest {
  checkPrompt(at(body, ["prompt"]), bounds);
  checkBias(at(body, ["logit_bias"]), bounds);
  const request = parse(completionFields, "completion", body);
  return { ...request, ignored: ignoredFields(body as Record<string, unknown>, COMPLETION_FIELDS) };
}

export function parseChat(body: unknown, bounds: RequestBounds = UNBOUNDED): ChatRequest {
  const messages = at(body, ["messages"]);
  // where the oldest may be left out, what is left is measured later
  const whole = at(body, ["truncation"]) !== "auto";
  if (Array.isArray(messages)) {
    if (whole) checkLeast(messages.length, bounds, "messages");
    if (messages.length > MAX_MESSAGES)
      throw invalidValue(`messages: expected at most ${MAX_MESSAGES} messages, got ${messages.length}`, "messages");
  }
  checkBias(at(body, ["logit_bias"]), bounds);
  const request = parse(chatSchema, "chat", body);
  if (whole) checkLeast(leastOf(request.messages, bounds), bounds, "messages");
  const given = { list: messages as unknown[], known: MESSAGE_FIELDS };
  return { ...request, ignored: ignoredFields(body as Record<string, unknown>, CHAT_FIELDS, given) };
}

/** Fewest tokens of a conversation: each message is at least one, and so are its characters together. */
export function leastOf(messages: readonly ChatRequest["messages"][number][], bounds: RequestBounds): number {
  return Math.max(
    messages.length,
    leastTokens(
      messages.reduce((sum, message) => sum + shownChars(message), 0),
      bounds,
    ),
  );
}

/** Characters of a message that a chat template shows: all but the thoughts of earlier answers, which many drop. */
function shownChars(message: ChatRequest["messages"][number]): number {
  const text = contentText(message.content);
  const thought = message.role === "assistant" ? text.lastIndexOf(THINK_CLOSE) : -1;
  return (thought < 0 ? text : text.slice(thought + THINK_CLOSE.length)).length;
}

/** The content of a message as one text. */
export function contentText(content: ChatRequest["messages"][number]["content"]): string {
  return typeof content === "string" ? content : (content ?? []).map((part) => part.text).join("");
}

/** A body checked. `words` say what its parameters take, where it is not what they take elsewhere. Throws ApiError 400 at the first fault. */
export function parse<T>(
  schema: z.ZodType<T>,
  kind: string,
  body: unknown,
  words: Readonly<Record<string, string>> = {},
): T {
  if (moreKeysThan(body, MAX_PARAMETERS))
    throw new ApiError(
      400,
      `body: expected at most ${MAX_PARAMETERS} parameters, got more`,
      "invalid_request_error",
      "invalid_value",
    );
  const result = schema.safeParse(body);
  if (!result.success) throw fault(kind, body, result.error.issues[0]?.path ?? [], words);
  return result.data;
}

function fault(
  kind: string,
  body: unknown,
  path: readonly PropertyKey[],
  words: Readonly<Record<string, string>> = {},
): ApiError {
  const names = path.filter((p): p is string => typeof p === "string");
  let expected: string | undefined;
  for (let depth = names.length; expected === undefined && depth >= 0; depth--) {
    const name = names.slice(0, depth).join(".");
    expected = words[name] ?? EXPECTED[`${kind}.${name}`] ?? EXPECTED[name];
  }
  const value = at(body, path);
  const param = path.reduce<string>(
    (s, p) => (typeof p === "number" ? `${s}[${p}]` : s === "" ? String(p) : `${s}.${String(p)}`),
    "",
  );
  return new ApiError(
    400,
    `${param === "" ? "body" : param}: expected ${expected}, got ${preview(value)}`,
    "invalid_request_error",
    value === undefined ? "missing_required_parameter" : "invalid_value",
    param === "" ? null : param,
  );
}

/** A text, texts, token ids or lists of them, none of them longer than the context. Throws ApiError at the first fault. */
export function checkPrompt(
  prompt: unknown,
  bounds: RequestBounds = UNBOUNDED,
  param = "prompt",
): asserts prompt is Prompt | null | undefined {
  if (prompt == null) return;
  const wrong = (path: PropertyKey[]): ApiError =>
    fault("completion", { [param]: prompt }, [param, ...path], { [param]: EXPECTED.prompt ?? "" });
  const checkText = (text: string): void => checkLeast(leastTokens(text.length, bounds), bounds, param);
  const checkIds = (ids: readonly unknown[], path: PropertyKey[]): void => {
    checkLeast(ids.length, bounds, param);
    if (ids.length === 0 || !ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0)) throw wrong(path);
  };
  if (typeof prompt === "string") return checkText(prompt);
  if (!Array.isArray(prompt) || prompt.length === 0) throw wrong([]);
  if (typeof prompt[0] === "number") return checkIds(prompt, []);
  checkChoices(prompt.length, 1);
  for (const [i, one] of prompt.entries() as IterableIterator<[number, unknown]>) {
    if (typeof one !== typeof prompt[0]) throw wrong([]);
    if (typeof one === "string") checkText(one);
    else if (Array.isArray(one)) checkIds(one, [i]);
    else throw wrong([]);
  }
}

/** At most one bias for each token: counted before any is looked at. */
function checkBias(bias: unknown, bounds: RequestBounds): void {
  if (moreKeysThan(bias, bounds.vocabSize))
    throw invalidValue(
      `logit_bias: expected at most ${bounds.vocabSize} biases, one for each token, got more`,
      "logit_bias",
    );
}

function moreKeysThan(value: unknown, most: number): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  let count = 0;
  for (const _ in value) if (++count > most) return true;
  return false;
}

function isBias(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  for (const [id, bias] of Object.entries(value))
    if (!/^\d{1,9}$/.test(id) || !(typeof bias === "number" && bias >= -100 && bias <= 100)) return false;
  return true;
}

/** What stands in a body at a path. */
export function at(body: unknown, path: readonly PropertyKey[]): unknown {
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
  const text = briefJson(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** The prompts of a completion request as texts or token ids; one empty text when there is none. */
export function promptsOf(prompt: CompletionRequest["prompt"]): (string | number[])[] {
  if (prompt == null) return [""];
  if (typeof prompt === "string") return [prompt];
  if (typeof prompt[0] === "number") return [prompt as number[]];
  return prompt as (string | number[])[];
}

/** Refuses a request for too many sequences. */
export function checkChoices(prompts: number, n: number): void {
  if (prompts * n > MAX_CHOICES)
    throw invalidValue(`n: expected at most ${MAX_CHOICES} answers in one request, got ${prompts} prompts × ${n}`, "n");
}
