import type { MiddlewareHandler } from "hono";
import { ApiError } from "../errors.ts";

export interface GuardOptions {
  /** Host names, besides localhost and IP addresses, that this server answers to. */
  hosts?: readonly string[];
  /** Origins (`https://app.example`) whose pages may call it, besides pages of this machine; "*" is any. */
  origins?: readonly string[];
}

/**
 * Keeps foreign web pages out. A page of another site that resolves its own name to this machine (DNS rebinding) sends
 * that name as Host and is refused; a page that calls directly sends its Origin and is refused unless allowed.
 * Programs send neither and pass. Pages of localhost, whatever the port, are allowed: developers run them.
 */
export function guard(options: GuardOptions): MiddlewareHandler {
  const hosts = new Set((options.hosts ?? []).map((h) => h.toLowerCase()));
  const origins = new Set(options.origins ?? []);
  return async (c, next) => {
    const host = hostName(c.req.header("host") ?? new URL(c.req.url).host);
    if (host === undefined || !(isLocalName(host) || isAddress(host) || hosts.has(host)))
      throw new ApiError(403, `Host: expected localhost, an IP address or a name given with --allow-host, got '${c.req.header("host") ?? ""}'`, "invalid_request_error", "host_not_allowed");
    const origin = c.req.header("origin");
    if (origin === undefined) return next();
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    const local = url !== undefined && (isLocalName(url.hostname) || isLoopback(url.hostname));
    const same = url !== undefined && url.host === (c.req.header("host") ?? new URL(c.req.url).host);
    if (!(local || same || origins.has(origin) || origins.has("*")))
      throw new ApiError(403, `Origin: pages of '${origin.slice(0, 200)}' may not use this server; start it with --allow-origin to let them`, "invalid_request_error", "origin_not_allowed");
    c.header("access-control-allow-origin", origin);
    c.header("vary", "Origin", { append: true });
    if (c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined) {
      c.header("access-control-allow-methods", "GET, POST");
      c.header("access-control-allow-headers", c.req.header("access-control-request-headers") ?? "content-type, authorization");
      c.header("access-control-max-age", "600");
      return c.body(null, 204);
    }
    return next();
  };
}

/** The name in a Host header, without port and brackets; undefined when it is none. */
function hostName(header: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/@[\]]+)(:\d{1,5})?$/.exec(header);
  return match?.[1].replace(/^\[|\]$/g, "").toLowerCase();
}

const isLocalName = (name: string): boolean => name === "localhost" || name.endsWith(".localhost");
const isLoopback = (name: string): boolean => /^127(\.\d{1,3}){3}$/.test(name) || name === "[::1]" || name === "::1";
const isAddress = (name: string): boolean => /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || name.includes(":");
