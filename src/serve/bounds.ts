/** What a request may hold, known before any of it is worked on. */
import { ApiError } from "../errors.ts";

/** What a model can take; what is plainly more is refused before it is read through or cut into tokens. */
export interface RequestBounds {
  contextTokens: number;
  vocabSize: number;
  /** Most bytes of text that one token stands for; Infinity where nobody can say. */
  bytesPerToken: number;
}

/** No model behind it: everything of the right form is let through. */
export const UNBOUNDED: RequestBounds = { contextTokens: Infinity, vocabSize: Infinity, bytesPerToken: Infinity };

/** Fewest tokens of a text of so many characters (UTF-16 units, which need no counting): it has at least as many bytes. */
export const leastTokens = (chars: number, bounds: RequestBounds): number => Math.ceil(chars / bounds.bytesPerToken);

/** Throws ApiError 400 `context_length_exceeded` for a prompt that cannot fit, however it is cut. */
export function checkLeast(tokens: number, bounds: RequestBounds, param: string): void {
  if (!(tokens > bounds.contextTokens)) return;
  throw new ApiError(
    400,
    `This model's maximum context length is ${bounds.contextTokens} tokens, but your prompt has at least ${tokens} tokens. Shorten it or lower its history.`,
    "invalid_request_error",
    "context_length_exceeded",
    param,
  );
}
