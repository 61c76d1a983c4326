/** Errors as OpenAI's clients expect them. */
import { ApiError } from "../errors.ts";
import { BusyError, EngineClosedError } from "../infer/browser.ts";

/** The error as OpenAI's clients expect it. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

/** The error as Anthropic's clients expect it. */
export interface MessagesErrorBody {
  type: "error";
  error: ErrorBody["error"];
  request_id?: string;
}

/** Anthropic's names of errors by their status; of others it is `invalid_request_error` below 500 and `api_error` above. */
const MESSAGES_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

/** An error as the door at a path writes it, whole or as an event of its stream. */
export function errorAt(
  path: string,
  { error }: ErrorBody,
  { status, requestId, event = false }: { status: number; requestId?: string; event?: boolean },
): object {
  if (path.startsWith("/v1/messages")) {
    const type = MESSAGES_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
    return { type: "error", error: { ...error, type }, request_id: requestId } satisfies MessagesErrorBody;
  }
  // OpenAI's event has no `error` in it, but its clients throw only where there is one
  return event && path.startsWith("/v1/responses") ? { ...error, type: "error", error } : { error };
}

/** What a failed request is answered with. Faults of ours do not tell the client their insides. */
export function errorBody(error: unknown): { status: number; retryAfterSeconds?: number; body: ErrorBody } {
  const api = toApiError(error);
  return {
    status: api.status,
    retryAfterSeconds: api.retryAfterSeconds,
    body: { error: { message: api.message, type: api.type, param: api.param, code: api.code } },
  };
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof BusyError) return new ApiError(429, error.message, "rate_limit_error", "engine_busy", null, 10);
  if (error instanceof EngineClosedError)
    return new ApiError(503, "The server is shutting down", "server_error", "shutting_down");
  if (error instanceof Error && error.name === "AbortError")
    return new ApiError(499, "The client left", "server_error", "client_closed_request");
  return new ApiError(500, "The server failed to answer; its log says why", "server_error", "internal_error");
}
