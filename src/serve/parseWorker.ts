/** The thread of RequestReader: bytes in, a checked request or a refusal out. */
import { parentPort } from "node:worker_threads";
import { ApiError } from "../errors.ts";
import type { RequestBounds } from "./bounds.ts";
import { parseRequest, type Requests } from "./parse.ts";

export interface ParseJob {
  kind: keyof Requests;
  bytes: Uint8Array<ArrayBuffer>;
  bounds: RequestBounds;
}

export type ParseResult =
  | { request: Requests[keyof Requests] }
  | { refused: Pick<ApiError, "status" | "message" | "type" | "code" | "param"> };

const port = parentPort;
port?.on("message", ({ kind, bytes, bounds }: ParseJob) => {
  try {
    port.postMessage({ request: parseRequest(kind, bytes, bounds) } satisfies ParseResult);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { status, message, type, code, param } = error;
    port.postMessage({ refused: { status, message, type, code, param } } satisfies ParseResult);
  }
});
