/** Who may speak to the server: by the name it was called by, and by the page that calls. */
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
    const { username, password, host: urlHost } = new URL(c.req.url);
    if (username !== "" || password !== "")
      throw new ApiError(
        400,
        "The request's address has a name or a password in it",
        "invalid_request_error",
        "invalid_url",
      );
    const header = c.req.header("host") ?? urlHost;
    // A request line may hold a whole address, which then counts before the Host (RFC 9112 §3.2.2): both must be ours.
    for (const called of [header, urlHost]) {
      const host = hostName(called);
      if (host === undefined || !(isLocalName(host) || isAddress(host) || hosts.has(host)))
        throw new ApiError(
          403,
          `Host: expected localhost, an IP address or a name given with --allow-host, got '${called.slice(0, 200)}'`,
          "invalid_request_error",
          "host_not_allowed",
        );
    }
    const origin = c.req.header("origin");
    if (origin === undefined) return next();
    if (!(origins.has(origin) || origins.has("*") || isOwnPage(origin, header)))
      throw new ApiError(
        403,
        `Origin: pages of '${origin.slice(0, 200)}' may not use this server; start it with --allow-origin to let them`,
        "invalid_request_error",
        "origin_not_allowed",
      );
    c.header("access-control-allow-origin", origin);
    c.header("access-control-expose-headers", "retry-after, x-request-id, request-id, x-sumbi-ignored");
    c.header("vary", "Origin", { append: true });
    if (c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined) {
      c.header("access-control-allow-methods", "GET, HEAD, POST, DELETE");
      c.header(
        "access-control-allow-headers",
        c.req.header("access-control-request-headers") ?? "content-type, authorization",
      );
      c.header("access-control-max-age", "600");
    }
    return next();
  };
}

/** A page of this machine, or one that this server sent. Extensions and files, whose origins look alike, are neither. */
function isOwnPage(origin: string, host: string): boolean {
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (
    url === undefined ||
    !(url.protocol === "http:" || url.protocol === "https:") ||
    url.origin !== origin.toLowerCase()
  )
    return false;
  return isLocalName(url.hostname) || isLoopback(url.hostname) || url.host === host.toLowerCase();
}

/** The name in a Host header, without port and brackets; undefined when it is none. */
function hostName(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/@[\]?#\\]+))(?::\d{1,5})?$/i.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

const isLocalName = (name: string): boolean => name === "localhost" || name.endsWith(".localhost");

/** Four numbers up to 255, or what a URL takes as an IPv6 address. */
export function isAddress(name: string): boolean {
  if (name.includes(":")) return URL.canParse(`http://[${name}]/`);
  const parts = name.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** 127.0.0.0/8 and ::1, with or without brackets. */
export function isLoopback(name: string): boolean {
  const bare = name.replace(/^\[|\]$/g, "");
  return isAddress(bare) && (/^(::ffff:)?127\./i.test(bare) || bare === "::1");
}
