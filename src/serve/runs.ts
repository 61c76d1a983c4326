/** The runs pages' API: lists, records and live streams of training runs. */
import { Hono } from "hono";
import { ApiError, CheckpointError, invalidValue, NoSuchRunError } from "../errors.ts";
import { isRunId } from "../runs/id.ts";
import type { RunReader } from "../runs/index.ts";
import { STILL_THERE } from "./body.ts";
import { clientOf, incomingOf } from "./client.ts";
import { errorBody } from "./errors.ts";
import type { RequestQueue } from "./queue.ts";
import { eventStream, SSE_HEADERS } from "./sse.ts";

/** What the routes need of a RunReader. */
export type RunSource = Pick<RunReader, "list" | "info" | "view" | "rollouts" | "follow">;

/** `/api/runs`, `/api/runs/:id` and `/api/runs/:id/rollouts` (of long logs what is evenly spread), and `/api/runs/:id/stream?after=<line number>`. */
export function runRoutes(runs: RunSource, queue: RequestQueue): Hono {
  const app = new Hono();
  /** A run that does not exist is a 404, an id that climbs out of the folder is one of those; a damaged one says what is wrong. */
  const known = async <T>(id: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      if (!(error instanceof NoSuchRunError) && isRunId(id))
        throw new ApiError(
          422,
          `The run '${id.slice(0, 200)}' cannot be read: ${error.message}`,
          "invalid_request_error",
          "run_unreadable",
          "id",
        );
      throw new ApiError(
        404,
        `There is no run '${id.slice(0, 200)}'; /api/runs lists them`,
        "invalid_request_error",
        "run_not_found",
        "id",
      );
    }
  };

  app.get("/", async (c) => c.json(await runs.list()));
  app.get("/:id", async (c) => {
    const id = c.req.param("id");
    return c.json(await known(id, runs.view(id)));
  });
  app.get("/:id/rollouts", async (c) => {
    const id = c.req.param("id");
    return c.json(await known(id, runs.rollouts(id)));
  });
  app.get("/:id/stream", async (c) => {
    const id = c.req.param("id");
    const after = c.req.query("after") ?? "0";
    if (!/^\d{1,12}$/.test(after))
      throw invalidValue(`after: expected a line number, got '${after.slice(0, 100)}'`, "after");
    await known(id, runs.info(id));
    const stay = queue.enter(clientOf(c));
    const left = new AbortController();
    const close = (): void => {
      left.abort();
      stay.leave();
    };
    c.req.raw.signal.addEventListener("abort", close, { once: true });
    const lines = recordsOf(runs, id, Number(after), left.signal);
    return c.body(
      eventStream(lines, {
        error: (error) => errorBody(error).body,
        close,
        onProbe: (comment) => void incomingOf(c)?.on(STILL_THERE, comment),
      }),
      200,
      SSE_HEADERS,
    );
  });
  return app;
}

async function* recordsOf(
  runs: RunSource,
  id: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<unknown, void> {
  for await (const { record } of runs.follow(id, { after, signal })) yield record;
}
