/** The routes: OpenAI's API, the pages and what they ask for. */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { requestId } from "hono/request-id";
import { matchedRoutes } from "hono/route";
import { ApiError } from "../errors.ts";
import type { Inflate } from "./body.ts";
import { type ChatPlan, chat, chatChunks, planChat } from "./chat.ts";
import { type CompletionPlan, complete, completionChunks, planCompletion } from "./completions.ts";
import { planEmbeddings } from "./embeddings.ts";
import { errorAt, errorBody } from "./errors.ts";
import { Exchange, type Plan, whereOf } from "./exchange.ts";
import { type GuardOptions, guard } from "./guard.ts";
import { newId } from "./ids.ts";
import { ApiKeys, requireKey } from "./keys.ts";
import { checkVersion, countTokens, planMessage } from "./messages/message.ts";
import { Totals, timedChunks } from "./meter.ts";
import { answerOtherMethods, dropHeadBody } from "./methods.ts";
import { openApi } from "./openapi.ts";
import type { ParseRequest, Requests } from "./parse.ts";
import { routePath } from "./paths.ts";
import { gauge, METRICS_TYPE, metricsText } from "./prometheus.ts";
import { type QueueOptions, RequestQueue } from "./queue.ts";
import { ResponseMemory, type StoredResponse } from "./responses/memory.ts";
import { planResponse } from "./responses/respond.ts";
import { type RunSource, runRoutes } from "./runs.ts";
import type { ServedModel } from "./served.ts";
import { applyTemplate, detokenize, tokenize } from "./texts.ts";
import { CallMemory } from "./tools/memory.ts";

export interface AppOptions extends GuardOptions {
  /** Absent: only runs and pages are served. */
  model?: ServedModel;
  runs?: RunSource;
  /** More routes, such as the pages (`pageRoutes`); they are open to those without a key. */
  pages?: Hono;
  /** Keys of which a request must bear one, but for /health and the pages' own files; none: nobody is asked. */
  keys?: readonly string[];
  /** How many requests may be under way, and how long one may wait. */
  queue?: QueueOptions;
  /** Largest request body; default 16 MiB. */
  bodyBytes?: number;
  /** Reads bodies; default: where it is called. `RequestReader` reads large ones in a thread. */
  parse?: ParseRequest;
  /** Takes compressed bodies apart (`inflate`, in Node); default: they are refused. */
  inflate?: Inflate;
  /** Refuses requests with fields that mean nothing here; else they are named in `x-sumbi-ignored`. */
  strict?: boolean;
  /** Told of such fields, by their names. */
  onIgnored?: (names: readonly string[], where: string) => void;
  /** Told of faults of ours, with the request they happened in. */
  onError?: (error: unknown, where: string) => void;
}

/** The OpenAI API and the pages' own API as a web-standard app: `app.fetch(request)` answers, in Node or a browser. */
export function createApp(options: AppOptions): Hono {
  const app = new Hono({ getPath: routePath });
  const totals = new Totals();
  const failed = (error: unknown, c: Context, event = false) => {
    const { body, ...answer } = errorBody(error);
    if (body.error.code === "internal_error") options.onError?.(error, whereOf(c));
    const requestId = c.get("requestId") as string | undefined;
    return { ...answer, body: errorAt(c.req.path, body, { status: answer.status, requestId, event }) };
  };

  app.use(requestId({ generator: () => newId("req", "_") }));
  app.use(async (c, next) => {
    await next();
    totals.requests.add(1, { handler: matchedRoutes(c).at(-1)?.path ?? "", status: String(c.res.status) });
  });
  app.use(dropHeadBody);
  app.use(guard(options));
  app.use("/v1/messages/*", messagesHeaders);
  app.use(async (c, next) => {
    await next();
    c.header("x-content-type-options", "nosniff");
  });
  app.onError((error, c) => {
    const { status, retryAfterSeconds, body } = failed(error, c);
    if (retryAfterSeconds !== undefined) c.header("retry-after", String(retryAfterSeconds));
    return c.json(body, status as 500);
  });
  app.notFound((c) => {
    const error = new ApiError(
      404,
      `There is nothing at ${c.req.method} ${c.req.path.slice(0, 200)}`,
      "invalid_request_error",
      "not_found",
    );
    return c.json(failed(error, c).body, 404);
  });

  const model = options.model && { calls: new CallMemory(), ...options.model };
  const queue = new RequestQueue(options.queue);
  app.get("/health", (c) => {
    const { active, waiting } = model?.engine.status() ?? { active: 0, waiting: 0 };
    return c.json({
      status: "ok",
      model: model?.info.id ?? null,
      ...(model ? { active, waiting: waiting + queue.waiting } : {}),
    });
  });
  if (options.pages) app.route("/", options.pages);
  if (options.keys && options.keys.length > 0) app.use(requireKey(new ApiKeys(options.keys)));
  app.get("/api/model", (c) => (model ? c.json(model.info) : c.notFound()));
  if (options.runs) app.route("/api/runs", runRoutes(options.runs, queue));
  if (model) {
    app.get("/openapi.json", (c) => c.json(openApi({ keys: (options.keys?.length ?? 0) > 0 })));
    app.get("/metrics", (c) => {
      const { active, waiting } = model.engine.status();
      const now = [
        gauge("sumbi:num_requests_running", "Answers that share the model's passes.", active),
        gauge("sumbi:num_requests_waiting", "Requests and answers that wait.", waiting + queue.waiting),
      ];
      c.header("content-type", METRICS_TYPE);
      return c.body(metricsText([...now, ...totals.all], { model_name: model.info.id }));
    });
    modelRoutes(app, new Exchange(model, { ...options, queue, totals, failed }));
  }
  answerOtherMethods(app);
  return app;
}

function modelRoutes(app: Hono, exchange: Exchange): void {
  const { info } = exchange.model;
  const entry = { id: info.id, object: "model", created: info.createdSeconds, owned_by: "sumbi" };
  app.get("/v1/models", (c) => c.json({ object: "list", data: [entry] }));
  app.get("/v1/models/:id", (c) => {
    if (c.req.param("id") !== entry.id)
      throw new ApiError(
        404,
        `The model '${c.req.param("id").slice(0, 200)}' is not served here; expected '${entry.id}'`,
        "invalid_request_error",
        "model_not_found",
        "model",
      );
    return c.json(entry);
  });

  const completion = timed<"completion", CompletionPlan>(planCompletion, complete, completionChunks);
  app.post("/v1/completions", (c) => exchange.answer(c, "completion", completion, DONE));
  const conversation = timed<"chat", ChatPlan>(planChat, chat, chatChunks);
  app.post("/v1/chat/completions", (c) => exchange.answer(c, "chat", conversation, DONE));
  app.post("/v1/embeddings", (c) => exchange.answer(c, "embeddings", planEmbeddings));
  app.post("/tokenize", (c) => exchange.answer(c, "tokenize", tokenize));
  app.post("/detokenize", (c) => exchange.answer(c, "detokenize", detokenize));
  app.post("/apply-template", (c) => exchange.answer(c, "chat", applyTemplate));
  responsesRoutes(app, exchange);
  app.post("/v1/messages", (c) => exchange.answer(c, "messages", planMessage, { named: true }));
  app.post("/v1/messages/count_tokens", (c) => exchange.answer(c, "count", countTokens));
}

/** OpenAI's completions, whole or in chunks, with the times that they took. */
function timed<Kind extends "completion" | "chat", P>(
  plan: (request: Requests[Kind], served: ServedModel, signal: AbortSignal) => Promise<P>,
  whole: (plan: P, served: ServedModel, signal: AbortSignal) => Promise<object>,
  chunks: (plan: P, served: ServedModel, usage: boolean, signal: AbortSignal) => AsyncGenerator<object, void>,
): Plan<Kind> {
  return async (request, served, signal, meter) => {
    const planned = await plan(request, served, signal);
    const usage = request.stream_options?.include_usage ?? false;
    return {
      stream: request.stream ?? false,
      whole: async (s) => ({ ...(await whole(planned, served, s)), timings: meter.timings() }),
      chunks: (s) => timedChunks(chunks(planned, served, usage, s), meter, request.timings_per_token),
    };
  };
}

/** What Anthropic's clients send and expect of headers. */
const messagesHeaders: MiddlewareHandler = async (c, next) => {
  c.header("request-id", c.get("requestId") as string);
  checkVersion(c.req.header("anthropic-version"));
  return next();
};

function responsesRoutes(app: Hono, exchange: Exchange): void {
  const memory = new ResponseMemory();
  const plan = planResponse(memory);
  app.post("/v1/responses", (c) => exchange.answer(c, "responses", plan, { named: true }));
  const stored = (c: Context): StoredResponse => {
    const id = c.req.param("id") ?? "";
    const found = memory.get(id);
    if (found) return found;
    throw new ApiError(404, `No response '${id.slice(0, 100)}' is stored`, "invalid_request_error", "not_found");
  };
  app.get("/v1/responses/:id", (c) => c.json(stored(c).response));
  app.delete("/v1/responses/:id", (c) => {
    const { id } = stored(c).response;
    memory.delete(id);
    return c.json({ id, object: "response", deleted: true });
  });
}

/** How streams of OpenAI's completions end. */
const DONE = { end: "[DONE]" };
