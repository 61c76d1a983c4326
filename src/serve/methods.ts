/** What a path answers beside what its routes do: OPTIONS, HEAD, and methods that it does not take. */
import type { Hono, MiddlewareHandler } from "hono";
import { ApiError } from "../errors.ts";

/**
 * To be called when all routes stand: every path answers OPTIONS with 204 and other methods than its own with 405, both with Allow.
 * HEAD is GET without its body, as Hono has it.
 */
export function answerOtherMethods(app: Hono): void {
  const methods = new Map<string, Set<string>>();
  for (const { method, path } of app.routes)
    if (method !== "ALL") methods.set(path, (methods.get(path) ?? new Set()).add(method));
  for (const [path, own] of methods) {
    if (own.has("GET")) own.add("HEAD");
    const allow = [...own, "OPTIONS"].join(", ");
    app.all(path, (c, next) => {
      if (own.has(c.req.method)) return next();
      c.header("allow", allow);
      if (c.req.method === "OPTIONS") return Promise.resolve(c.body(null, 204));
      throw new ApiError(
        405,
        `${c.req.path.slice(0, 200)}: expected ${[...own].join(" or ")}, got ${c.req.method.slice(0, 20)}`,
        "invalid_request_error",
        "method_not_allowed",
      );
    });
  }
}

/** HEAD is answered as GET; what would have made its body ends, a stream too. */
export const dropHeadBody: MiddlewareHandler = async (c, next) => {
  await next();
  if (c.req.method === "HEAD") await c.res.body?.cancel();
};
