/** Bytes of a body -> a checked request. */
import { ApiError } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { RequestBounds } from "./bounds.ts";
import { type EmbeddingsRequest, parseEmbeddings } from "./embeddingsSchema.ts";
import { type CountRequest, type MessagesRequest, parseCount, parseMessages } from "./messages/schema.ts";
import { parseResponses, type ResponsesRequest } from "./responses/schema.ts";
import { type ChatRequest, type CompletionRequest, parseChat, parseCompletion } from "./schema.ts";
import { type DetokenizeRequest, parseDetokenize, parseTokenize, type TokenizeRequest } from "./textSchema.ts";

/** The kinds of requests that have a body. */
export interface Requests {
  chat: ChatRequest;
  completion: CompletionRequest;
  embeddings: EmbeddingsRequest;
  tokenize: TokenizeRequest;
  detokenize: DetokenizeRequest;
  responses: ResponsesRequest;
  messages: MessagesRequest;
  count: CountRequest;
}

/** Takes the bytes over: they may be gone after. Throws ApiError. */
export type ParseRequest = <Kind extends keyof Requests>(
  kind: Kind,
  bytes: Uint8Array<ArrayBuffer>,
  bounds: RequestBounds,
) => Promise<Requests[Kind]> | Requests[Kind];

const parsers: { [Kind in keyof Requests]: (body: unknown, bounds: RequestBounds) => Requests[Kind] } = {
  chat: parseChat,
  completion: parseCompletion,
  embeddings: parseEmbeddings,
  tokenize: parseTokenize,
  detokenize: parseDetokenize,
  responses: parseResponses,
  messages: parseMessages,
  count: parseCount,
};

/** Reads a body where it is called. Throws ApiError 400. */
export const parseRequest = <Kind extends keyof Requests>(
  kind: Kind,
  bytes: Uint8Array,
  bounds: RequestBounds,
): Requests[Kind] => parsers[kind](jsonOf(bytes), bounds);

function jsonOf(bytes: Uint8Array): unknown {
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return parseJson(text);
  } catch (error) {
    const what =
      bytes.length > 0 && error instanceof TypeError
        ? "it is not UTF-8"
        : text.trim() === ""
          ? "an empty body"
          : (error as Error).message;
    throw new ApiError(400, `The body could not be read as JSON: ${what}`, "invalid_request_error", "invalid_json");
  }
}
