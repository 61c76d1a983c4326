/** Addresses as clients write them: with `/v1` before them or not, with a slash at their end or not. */
import { getPath } from "hono/utils/url";

/** What stands under `/v1` here, and what beside it; others have it the other way round. */
const UNDER_V1 = new Set(["chat", "completions", "models", "embeddings", "responses", "messages"]);
const BESIDE_V1 = new Set(["health", "metrics", "tokenize", "detokenize", "apply-template", "openapi.json"]);

/** The path of a request as the routes know it. */
export const routePath = (request: Request): string => canonicalPath(getPath(request));

export function canonicalPath(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end--;
  const bare = path.slice(0, end);
  const [, first = "", second = ""] = bare.split("/", 3);
  if (UNDER_V1.has(first)) return `/v1${bare}`;
  return first === "v1" && BESIDE_V1.has(second) ? bare.slice("/v1".length) : bare;
}
