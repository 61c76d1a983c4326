/** Requests of other doors as requests of the chat: what the chat refuses is refused by the door's own names. */
import { ApiError } from "../errors.ts";

/** Names of the chat's parameters that a client must not send where another door is translated into them, but may send there under the chat's name. */
export const PASSED = [
  "seed",
  "top_k",
  "min_p",
  "frequency_penalty",
  "presence_penalty",
  "repetition_penalty",
  "logit_bias",
  "stop_token_ids",
  "min_tokens",
  "ignore_eos",
  "enable_thinking",
  "chat_template_kwargs",
  "thinking_budget",
  "structured_outputs",
] as const;

/** Those fields of a body, as they stand: the chat checks them. */
export function passedOf(body: unknown): Record<string, unknown> {
  const given = body as Readonly<Record<string, unknown>>;
  return Object.fromEntries(PASSED.filter((name) => Object.hasOwn(given, name)).map((name) => [name, given[name]]));
}

/** Works, and says of what the chat refuses which of the door's parameters it was. `names`: the door's by the chat's. */
export async function renamed<T>(names: Readonly<Record<string, string>>, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError) || error.param === null) throw error;
    const [first = ""] = error.param.split(/[.[]/, 1);
    const name = Object.hasOwn(names, first) ? names[first] : undefined;
    if (name === undefined) throw error;
    // a function stands there within a tool, elsewhere it is one
    const said = (text: string): string =>
      text.startsWith(first) ? `${name}${text.slice(first.length).replace(".function.", ".")}` : text;
    const { status, message, type, code, param, retryAfterSeconds } = error;
    throw new ApiError(status, said(message), type, code, said(param), retryAfterSeconds);
  }
}
