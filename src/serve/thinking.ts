/** Whether a model is to think before it answers, how long, and whether that is shown: all spellings of it, and what its template can do. */
import { invalidValue } from "../errors.ts";
import type { ChatRequest } from "./schema.ts";

export interface Thinking {
  /** undefined: the model decides. */
  on: boolean | undefined;
  /** Tokens after which the thought is brought to its end. */
  budget: number | undefined;
  /** Thoughts are counted, and not sent. */
  hidden: boolean;
  /** What the chat template is told besides. */
  variables: Record<string, unknown>;
}

/** What share of the answer's room a thought may take, where a client only says how hard to think. The others do not bound it. */
const EFFORT_SHARE: Readonly<Record<string, number>> = { minimal: 1 / 16, low: 1 / 4, medium: 1 / 2 };

/** Names of the switch in chat templates: DeepSeek's, and Qwen's. */
const SWITCHES = ["thinking", "enable_thinking"] as const;

/** Whether a chat template reads one of them. */
export const hasSwitch = (template = ""): boolean =>
  SWITCHES.some((name) => new RegExp(`\\b${name}\\b`).test(template));

/** One value of all that say the same; ApiError 400 where they do not. */
function agreed<T>(
  what: string,
  given: readonly (readonly [param: string, value: T | null | undefined])[],
): T | undefined {
  const said = given.filter((one): one is [string, T] => one[1] !== null && one[1] !== undefined);
  const other = said.find(([, value]) => value !== said[0]?.[1]);
  if (other !== undefined)
    throw invalidValue(
      `${other[0]}: expected the same ${what} as ${said[0]?.[0]} says (${said[0]?.[1]}), got ${other[1]}; leave one of them out`,
      other[0],
    );
  return said[0]?.[1];
}

/**
 * What a request says about thoughts. `template` is the model's chat template, `reasons` whether it has thoughts at all, `room` how many tokens the
 * answer may have. Throws ApiError 400 for contradictions, and for what the template or the model cannot do.
 */
export function thinkingOf(
  request: ChatRequest,
  model: { reasons: boolean; template: string | undefined },
  room: number,
): Thinking {
  const { chat_template_kwargs: kwargs, reasoning, reasoning_effort, thinking } = request;
  const effort = agreed("effort", [
    ["reasoning_effort", reasoning_effort],
    ["reasoning.effort", reasoning?.effort],
  ]);
  const on = agreed("switch", [
    ["enable_thinking", request.enable_thinking],
    ["thinking", thinking && thinking.type !== "disabled"],
    ["reasoning.enabled", reasoning?.enabled],
    ...SWITCHES.map((name) => [`chat_template_kwargs.${name}`, switchOf(kwargs, name)] as const),
    ["reasoning_effort", effort && effort !== "none"],
  ]);
  const tokens = agreed("budget", [
    ["thinking_budget", request.thinking_budget],
    ["thinking_token_budget", request.thinking_token_budget],
    ["thinking_budget_tokens", request.thinking_budget_tokens],
    ["thinking.budget_tokens", thinking?.budget_tokens],
    ["reasoning.max_tokens", reasoning?.max_tokens],
  ]);
  if (on === true && !model.reasons)
    throw invalidValue(
      "thinking: this model does not think before it answers; expected it to be off, or left open",
      effort === undefined ? "thinking" : "reasoning_effort",
    );
  const share = effort === undefined ? undefined : EFFORT_SHARE[effort];
  return {
    on,
    budget: tokens ?? (share === undefined ? undefined : Math.max(1, Math.floor(room * share))),
    hidden: reasoning?.exclude === true,
    variables: variablesOf(kwargs, effort, model.template),
  };
}

function switchOf(kwargs: ChatRequest["chat_template_kwargs"], name: (typeof SWITCHES)[number]): boolean | undefined {
  const value = kwargs?.[name];
  if (value === undefined || value === null || typeof value === "boolean") return value ?? undefined;
  throw invalidValue(
    `chat_template_kwargs.${name}: expected true or false, got ${JSON.stringify(value).slice(0, 100)}`,
    `chat_template_kwargs.${name}`,
  );
}

/** Variables that the template reads. Throws ApiError 400 for one that it never names: it would be ignored. */
function variablesOf(
  kwargs: ChatRequest["chat_template_kwargs"],
  effort: string | undefined,
  template = "",
): Record<string, unknown> {
  const names = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(template);
  const variables: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(kwargs ?? {})) {
    if ((SWITCHES as readonly string[]).includes(name)) continue;
    if (!/^[A-Za-z_]\w{0,63}$/.test(name) || OURS.has(name) || !names(name))
      throw invalidValue(
        `chat_template_kwargs.${name.slice(0, 64)}: expected variables that this model's chat template reads, got one that it does not`,
        "chat_template_kwargs",
      );
    variables[name] = value;
  }
  if (effort !== undefined && names("reasoning_effort")) variables["reasoning_effort"] ??= effort;
  return variables;
}

/** Told to every template, by other parameters. */
const OURS = new Set([
  "messages",
  "tools",
  "documents",
  "add_generation_prompt",
  "bos_token",
  "eos_token",
  "pad_token",
]);
