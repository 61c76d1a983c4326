import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { ApiError } from "../errors.ts";
import { chat, chatChunks, planChat } from "./chat.ts";
import { complete, completionChunks, planCompletion } from "./completions.ts";
import { errorBody } from "./errors.ts";
import { guard, type GuardOptions } from "./guard.ts";
import { runRoutes, type RunSource } from "./runs.ts";
import { parseChat, parseCompletion } from "./schema.ts";
import type { ServedModel } from "./served.ts";
import { eventStream, SSE_HEADERS } from "./sse.ts";

export interface AppOptions extends GuardOptions {
  /** Absent: only runs and pages are served. */
  model?: ServedModel;
  runs?: RunSource;
  /** More routes, such as the pages (`pageRoutes`). */
  pages?: Hono;
  /** Largest request body; default 16 MiB. */
  bodyBytes?: number;
  /** Told of faults of ours, with the request they happened in. */
  onError?: (error: unknown, where: string) => void;
}

/** The OpenAI API and the pages' own API as a web-standard app: `app.fetch(request)` answers, in Node or a browser. */
export function createApp(options: AppOptions): Hono {
  const app = new Hono();
  const failed = (error: unknown, c: Context): ReturnType<typeof errorBody> => {
    const answer = errorBody(error);
    if (answer.body.error.code === "internal_error") options.onError?.(error, `${c.req.method} ${c.req.path}`);
    return answer;
  };

  app.use(guard(options));
  app.use(async (c, next) => {
    await next();
    c.header("x-content-type-options", "nosniff");
  });
  app.onError((error, c) => {
    const { status, body } = failed(error, c);
    return c.json(body, status as 500);
  });
  app.notFound((c) => {
    const error = new ApiError(404, `There is nothing at ${c.req.method} ${c.req.path.slice(0, 200)}`, "invalid_request_error", "not_found");
    return c.json(errorBody(error).body, 404);
  });

  const model = options.model;
  app.get("/health", (c) => c.json({ status: "ok", model: model?.info.id ?? null, ...model?.engine.status() }));
  app.get("/api/model", (c) => (model ? c.json(model.info) : c.notFound()));
  if (options.runs) app.route("/api/runs", runRoutes(options.runs));
  if (options.pages) app.route("/", options.pages);
  if (!model) return app;

  const entry = { id: model.info.id, object: "model", created: model.info.createdSeconds, owned_by: "sumbi" };
  app.get("/v1/models", (c) => c.json({ object: "list", data: [entry] }));
  app.get("/v1/models/:id", (c) => {
    if (c.req.param("id") !== entry.id)
      throw new ApiError(404, `The model '${c.req.param("id").slice(0, 200)}' is not served here; expected '${entry.id}'`, "invalid_request_error", "model_not_found", "model");
    return c.json(entry);
  });

  const maxSize = options.bodyBytes ?? 16 * 2 ** 20;
  app.use(
    "/v1/*",
    bodyLimit({
      maxSize,
      onError: () => {
        throw new ApiError(413, `The request body is larger than ${maxSize} bytes`, "invalid_request_error", "request_too_large");
      },
    }),
  );

  /** Answers whole or as a stream; either way the work stops when the client leaves. */
  const answer = async (
    c: Context,
    stream: boolean,
    whole: (signal: AbortSignal) => Promise<object>,
    chunks: (signal: AbortSignal) => AsyncGenerator<object, void>,
  ): Promise<Response> => {
    const left = new AbortController();
    const leave = (): void => left.abort();
    c.req.raw.signal.addEventListener("abort", leave, { once: true });
    if (c.req.raw.signal.aborted) leave();
    if (stream) {
      const events = eventStream(chunks(left.signal), { end: "[DONE]", error: (error) => failed(error, c).body, close: leave });
      return c.body(events, 200, SSE_HEADERS);
    }
    try {
      return c.json(await whole(left.signal));
    } finally {
      leave();
      c.req.raw.signal.removeEventListener("abort", leave);
    }
  };

  app.post("/v1/completions", async (c) => {
    const request = parseCompletion(await readJson(c));
    const plan = await planCompletion(request, model);
    const usage = request.stream_options?.include_usage ?? false;
    return answer(c, request.stream ?? false, (s) => complete(plan, model, s), (s) => completionChunks(plan, model, usage, s));
  });
  app.post("/v1/chat/completions", async (c) => {
    const request = parseChat(await readJson(c));
    const plan = await planChat(request, model);
    const usage = request.stream_options?.include_usage ?? false;
    return answer(c, request.stream ?? false, (s) => chat(plan, model, s), (s) => chatChunks(plan, model, usage, s));
  });
  for (const path of ["/v1/completions", "/v1/chat/completions"])
    app.all(path, (c) => {
      throw new ApiError(405, `${path}: expected POST, got ${c.req.method}`, "invalid_request_error", "method_not_allowed");
    });
  return app;
}

async function readJson(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    const what = text.trim() === "" ? "an empty body" : `${(error as Error).message}`;
    throw new ApiError(400, `The body could not be read as JSON: ${what}`, "invalid_request_error", "invalid_json");
  }
}
