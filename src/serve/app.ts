/** The routes: OpenAI's API, the pages and what they ask for. */
import { type Context, Hono } from "hono";
import { ApiError } from "../errors.ts";
import { BodyMemory, STILL_THERE, withBody } from "./body.ts";
import { chat, chatChunks, planChat } from "./chat.ts";
import { clientOf, incomingOf } from "./client.ts";
import { complete, completionChunks, planCompletion } from "./completions.ts";
import { errorBody } from "./errors.ts";
import { headerOf, refuseIgnored } from "./fields.ts";
import { type GuardOptions, guard } from "./guard.ts";
import { ApiKeys, requireKey } from "./keys.ts";
import { answerOtherMethods, dropHeadBody } from "./methods.ts";
import { type ParseRequest, parseRequest, type Requests } from "./parse.ts";
import { type QueueOptions, RequestQueue } from "./queue.ts";
import { type RunSource, runRoutes } from "./runs.ts";
import { boundsOf, encoderOf, type ServedModel } from "./served.ts";
import { eventStream, SSE_HEADERS } from "./sse.ts";

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
  /** Refuses requests with fields that mean nothing here; else they are named in `x-sumbi-ignored`. */
  strict?: boolean;
  /** Told of such fields, by their names. */
  onIgnored?: (names: readonly string[], where: string) => void;
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

  app.use(dropHeadBody);
  app.use(guard(options));
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
    return c.json(errorBody(error).body, 404);
  });

  const model = options.model;
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
  if (model) modelRoutes(app, model, queue, options, failed);
  answerOtherMethods(app);
  return app;
}

/** What a request wants of a model: an answer, whole or in chunks. */
interface Work {
  stream: boolean;
  whole(signal: AbortSignal): Promise<object>;
  chunks(signal: AbortSignal): AsyncGenerator<object, void>;
}

function modelRoutes(
  app: Hono,
  model: ServedModel,
  queue: RequestQueue,
  options: AppOptions,
  failed: (error: unknown, c: Context) => ReturnType<typeof errorBody>,
): void {
  const entry = { id: model.info.id, object: "model", created: model.info.createdSeconds, owned_by: "sumbi" };
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

  const parse = options.parse ?? parseRequest;
  const maxBytes = options.bodyBytes ?? 16 * 2 ** 20;
  const memory = new BodyMemory();
  const bounds = boundsOf(model);

  /** Reads, plans, waits for its turn and answers, whole or as a stream; all of it stops when the client leaves. */
  const answer = async <Kind extends keyof Requests>(
    c: Context,
    kind: Kind,
    plan: (request: Requests[Kind], served: ServedModel, signal: AbortSignal) => Promise<Work>,
  ): Promise<Response> => {
    const client = clientOf(c);
    const stay = queue.enter(client);
    const left = new AbortController();
    const leave = (): void => {
      left.abort();
      stay.leave();
      c.req.raw.signal.removeEventListener("abort", leave);
    };
    c.req.raw.signal.addEventListener("abort", leave, { once: true });
    let streams = false;
    try {
      const request = await withBody(c.req.raw, { maxBytes, memory, client, incoming: incomingOf(c) }, (bytes) =>
        parse(kind, bytes, bounds),
      );
      if (options.strict) refuseIgnored(request.ignored);
      if (request.ignored.length > 0) {
        c.header("x-sumbi-ignored", headerOf(request.ignored));
        options.onIgnored?.(request.ignored, c.req.path);
      }
      const work = await plan(request, servedTo(client, model), left.signal);
      await stay.turn(left.signal);
      if (!work.stream) return c.json(await work.whole(left.signal));
      streams = true;
      const events = eventStream(work.chunks(left.signal), {
        end: "[DONE]",
        error: (error) => failed(error, c).body,
        close: leave,
        onProbe: (comment) => void incomingOf(c)?.on(STILL_THERE, comment),
      });
      return c.body(events, 200, SSE_HEADERS);
    } finally {
      if (!streams) leave();
      // What a refused request still sends is taken in and dropped, so that the next one on its connection is read.
      incomingOf(c)?.resume();
    }
  };

  app.post("/v1/completions", (c) =>
    answer(c, "completion", async (request, served, signal) => {
      const plan = await planCompletion(request, served, signal);
      const usage = request.stream_options?.include_usage ?? false;
      return {
        stream: request.stream ?? false,
        whole: (s) => complete(plan, served, s),
        chunks: (s) => completionChunks(plan, served, usage, s),
      };
    }),
  );
  app.post("/v1/chat/completions", (c) =>
    answer(c, "chat", async (request, served, signal) => {
      const plan = await planChat(request, served, signal);
      const usage = request.stream_options?.include_usage ?? false;
      return {
        stream: request.stream ?? false,
        whole: (s) => chat(plan, served, s),
        chunks: (s) => chatChunks(plan, served, usage, s),
      };
    }),
  );
}

/** A model as one client uses it: what it asks for waits for that client's turn. */
function servedTo(client: string, model: ServedModel): ServedModel {
  const { engine } = model;
  const encoder = encoderOf(model);
  return {
    ...model,
    engine: {
      limits: engine.limits,
      generate: (request, signal) => engine.generate(request, signal, client),
      score: (tokens, top, signal) => engine.score(tokens, top, signal, client),
      status: () => engine.status(),
      close: () => engine.close(),
    },
    encoder: {
      chat: (messages, options, signal) => encoder.chat(messages, options, signal, client),
      texts: (texts, signal) => encoder.texts(texts, signal, client),
      close: () => encoder.close(),
    },
  };
}
