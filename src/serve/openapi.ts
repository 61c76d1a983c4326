/** GET /openapi.json: the API's description (OpenAPI 3.1), made of the schemas that requests are checked by. */
import { z } from "zod";
import { embeddingsFields } from "./embeddingsSchema.ts";
import { countFields, messagesFields } from "./messages/schema.ts";
import { responsesFields } from "./responses/schema.ts";
import { chatFields, completionFields, listOf } from "./schema.ts";
import { detokenizeFields, tokenizeFields } from "./textSchema.ts";

type Json = Record<string, unknown>;

/** What a request may hold, as JSON Schema. What lies between parameters, and in the model (its context, its vocabulary), is said by refusals. */
const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const list = listOf(zodSchema);
      if (list)
        Object.assign(jsonSchema, {
          type: "array",
          items: schemaOf(list.item),
          ...(list.min > 0 ? { minItems: list.min } : {}),
          maxItems: list.max,
        });
    },
  });
  return json;
};

interface Door {
  summary: string;
  body?: z.ZodType;
  /** Parameters of the path. */
  path?: string;
  /** What it answers with; default JSON. */
  type?: string;
  streams?: true;
}

/** Every path of the API by its methods. */
const DOORS: Readonly<Record<string, Readonly<Record<string, Door>>>> = {
  "/v1/chat/completions": { post: { summary: "A conversation, answered", body: chatFields, streams: true } },
  "/v1/completions": { post: { summary: "Text, gone on with", body: completionFields, streams: true } },
  "/v1/responses": { post: { summary: "OpenAI's Responses", body: responsesFields, streams: true } },
  "/v1/responses/{id}": {
    get: { summary: "A stored response", path: "id" },
    delete: { summary: "Forgets a stored response", path: "id" },
  },
  "/v1/messages": { post: { summary: "Anthropic's Messages", body: messagesFields, streams: true } },
  "/v1/messages/count_tokens": { post: { summary: "How many tokens a conversation has", body: countFields } },
  "/v1/embeddings": { post: { summary: "Vectors of texts", body: embeddingsFields } },
  "/v1/models": { get: { summary: "The model" } },
  "/v1/models/{id}": { get: { summary: "The model, by its id", path: "id" } },
  "/tokenize": {
    post: { summary: "Tokens of a text or of a conversation", body: z.union([tokenizeFields, chatFields]) },
  },
  "/detokenize": { post: { summary: "The text of tokens", body: detokenizeFields } },
  "/apply-template": { post: { summary: "A conversation as the model reads it", body: chatFields } },
  "/health": { get: { summary: "Whether it is there, and what it does" } },
  "/metrics": { get: { summary: "Counters and times, for Prometheus", type: "text/plain" } },
  "/openapi.json": { get: { summary: "This description" } },
};

/** Statuses that every path may refuse with, and what they mean. */
const REFUSALS: Readonly<Record<string, string>> = {
  400: "The request cannot be answered; the error says what was expected and what came",
  401: "No key, or none of this server's",
  403: "A page or a host that is not let in",
  404: "Not here",
  405: "Another method",
  413: "The body is too large",
  415: "A content-encoding that is not known",
  429: "Too many requests at once; try again later",
  503: "Too many requests of all, or the end; try again later",
};

const ERROR: Json = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["message", "type"],
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        param: { type: ["string", "null"] },
        code: { type: ["string", "null"] },
      },
    },
  },
};

function operationOf({ summary, body, path, type = "application/json", streams }: Door): Json {
  const any = type === "application/json" ? { type: "object" } : { type: "string" };
  const content = {
    [type]: { schema: any },
    ...(streams ? { "text/event-stream": { schema: { type: "string" } } } : {}),
  };
  const refusals = Object.entries(REFUSALS).map(([status, description]) => [
    status,
    { description, content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } } },
  ]);
  return {
    summary,
    ...(path === undefined
      ? {}
      : { parameters: [{ name: path, in: "path", required: true, schema: { type: "string" } }] }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: schemaOf(body) } } } }),
    responses: { 200: { description: summary, content }, ...Object.fromEntries(refusals) },
  };
}

/** The document. `keys`: requests must bear one. */
export function openApi({ keys }: { keys: boolean }): Json {
  const paths = Object.fromEntries(
    Object.entries(DOORS).map(([path, methods]) => [
      path,
      Object.fromEntries(Object.entries(methods).map(([method, door]) => [method, operationOf(door)])),
    ]),
  );
  const securitySchemes = {
    bearer: { type: "http", scheme: "bearer" },
    key: { type: "apiKey", in: "header", name: "x-api-key" },
  };
  return {
    openapi: "3.1.0",
    info: { title: "Sumbi", version: "1", description: "A language model behind OpenAI's and Anthropic's APIs." },
    paths,
    components: { schemas: { Error: ERROR }, ...(keys ? { securitySchemes } : {}) },
    ...(keys ? { security: [{ bearer: [] }, { key: [] }] } : {}),
  };
}
