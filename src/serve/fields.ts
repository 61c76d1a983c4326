/** Fields of a request that no schema reads: those that change nothing, those that would and are refused, and the rest, which are told. */
import { ApiError, invalidValue } from "../errors.ts";
import { briefJson } from "../json.ts";

/** They change no answer: who asks, how it is billed, kept or cached. */
const HARMLESS = new Set([
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  "cache_prompt",
  "prediction",
  "request_id",
]);
const HARMLESS_IN_MESSAGES = new Set(["name", "id", "refusal", "annotations", "type", "status"]);

/** They would change the answer, and nothing here does it: only the value that means "not" passes. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  audio: [],
  best_of: [],
  dry_multiplier: [0],
  dynatemp_range: [0],
  early_stopping: [false],
  function_call: ["none"],
  include_stop_str_in_output: [false],
  length_penalty: [1],
  lora: [],
  mirostat: [0],
  n_probs: [0],
  num_beams: [1],
  prompt_logprobs: [],
  skip_special_tokens: [true],
  suffix: [""],
  tfs_z: [1],
  top_a: [0],
  top_n_sigma: [-1, 0],
  truncate_prompt_tokens: [-1],
  typical_p: [1],
  use_beam_search: [false],
  verbosity: ["medium"],
  web_search_options: [],
  xtc_probability: [0],
};

/** Most names that are told. */
const MAX_TOLD = 32;

/**
 * The names of fields that a request has, and that mean nothing here: its own, and those of its messages as `messages[].name`. Throws
 * ApiError 400 for one that would change the answer. `known` are the fields that were read.
 */
export function ignoredFields(
  body: Readonly<Record<string, unknown>>,
  known: ReadonlySet<string>,
  messages?: { list: readonly unknown[]; known: ReadonlySet<string> },
): string[] {
  const ignored = new Set<string>();
  for (const [name, value] of Object.entries(body)) {
    if (known.has(name) || HARMLESS.has(name) || value === null) continue;
    const neutral = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
    if (neutral === undefined) ignored.add(name);
    else if (!neutral.includes(value)) throw refused(name, value, neutral);
  }
  for (const message of messages?.list ?? [])
    for (const [name, value] of Object.entries(message as object)) {
      if (messages?.known.has(name) || HARMLESS_IN_MESSAGES.has(name) || value === null) continue;
      ignored.add(`messages[].${name}`);
      if (ignored.size > MAX_TOLD) break;
    }
  return [...ignored].slice(0, MAX_TOLD);
}

function refused(name: string, value: unknown, neutral: readonly unknown[]): ApiError {
  const expected = neutral.length === 0 ? "nothing" : `${JSON.stringify(neutral[0])}, or nothing`;
  return invalidValue(
    `${name}: expected ${expected}, since it is not supported here, got ${briefJson(value).slice(0, 100)}`,
    name,
  );
}

/** Names as the value of a header, which only holds ASCII. */
export const headerOf = (names: readonly string[]): string =>
  names.map((name) => name.slice(0, 64).replace(/[^!-+\--~]/g, "?")).join(", ");

/** Throws ApiError 400 that names the first of them, where a server takes no field that it does not know. */
export function refuseIgnored(names: readonly string[]): void {
  const [first] = names;
  if (first === undefined) return;
  throw new ApiError(
    400,
    `${first.slice(0, 100)}: no such parameter here, and this server refuses what it would ignore (--strict)`,
    "invalid_request_error",
    "unknown_parameter",
    first.slice(0, 100),
  );
}
