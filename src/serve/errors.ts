/** Errors as OpenAI's clients expect them. */
import { ApiError } from "../errors.ts";
import { BusyError, EngineClosedError } from "../infer/browser.ts";

/** The error as OpenAI's clients expect it. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
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
