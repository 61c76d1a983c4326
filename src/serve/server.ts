/** An HTTP server around the app: its port, its timeouts, its end. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";
import { ApiError, UsageError } from "../errors.ts";
import { type ConnectionOptions, tendConnections } from "./connections.ts";
import { errorBody } from "./errors.ts";
import { newId } from "./ids.ts";

export interface ListenOptions {
  /** Address to bind; "127.0.0.1" is this machine only, "0.0.0.0" the whole network. */
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** When the port is taken, how many higher ones to try. */
  tryPorts?: number;
  /** How long the headers of a request may take to arrive; all of it may take twice as long. Default 30,000. */
  headersMs?: number;
  /** What connections may do. */
  connections?: ConnectionOptions;
}

export interface RunningServer {
  url: string;
  host: string;
  port: number;
  /** Takes no new connections, ends the open ones within `graceMs`, and resolves when all are gone. */
  close(graceMs?: number): Promise<void>;
}

/** Serves an app over HTTP/1.1. Throws UsageError, saying what to do, when the address cannot be had. */
export async function listen(app: Hono, options: ListenOptions): Promise<RunningServer> {
  const { headersMs = 30_000 } = options;
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    // it would end a connection half a second after an answer, whatever is still being sent on it; connections.ts has patience
    autoCleanupIncoming: false,
    errorHandler: (error) => unroutable(error),
  });
  const server = createServer(
    {
      requestTimeout: 2 * headersMs,
      headersTimeout: headersMs,
      connectionsCheckingInterval: Math.ceil(headersMs / 6),
      requireHostHeader: false,
    },
    listener,
  );
  tendConnections(server, options.connections);
  const last = Math.min(65_535, options.port + (options.port === 0 ? 0 : (options.tryPorts ?? 0)));
  for (let port = options.port; ; port++) {
    try {
      await bind(server, options.host, port);
      break;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EADDRINUSE" && port < last) continue;
      throw new UsageError(explain(code, options.host, options.port, last, error as Error));
    }
  }
  const { port } = server.address() as AddressInfo;
  const name = options.host === "0.0.0.0" || options.host === "::" ? "127.0.0.1" : options.host;
  return {
    url: `http://${name.includes(":") ? `[${name}]` : name}:${port}`,
    host: options.host,
    port,
    async close(graceMs = 2_000) {
      const last = setTimeout(() => server.closeAllConnections(), graceMs);
      // connections that are kept alive become idle as their answers end
      const idle = setInterval(() => server.closeIdleConnections(), 20);
      await new Promise<void>((resolve) => void server.close(() => resolve()));
      clearTimeout(last);
      clearInterval(idle);
    },
  };
}

/** A request that the app never saw: its Host or its path makes no URL. */
function unroutable(error: unknown): Response {
  const faulty = error instanceof Error && error.name === "RequestError";
  const { status, body } = errorBody(
    faulty
      ? new ApiError(
          400,
          `The request has no usable Host or path: ${error.message}`,
          "invalid_request_error",
          "invalid_url",
        )
      : error,
  );
  return Response.json(body, { status, headers: { "x-request-id": newId("req", "_") } });
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function explain(code: string | undefined, host: string, port: number, last: number, error: Error): string {
  if (code === "EADDRINUSE") {
    const ports = last > port ? `ports ${port} to ${last} are` : `port ${port} is`;
    return `serve: ${ports} taken on ${host}: stop the program that listens there, or choose another with --port (0 takes any free one)`;
  }
  if (code === "EACCES") return `serve: port ${port} needs administrator's rights: choose one above 1023 with --port`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
    return `serve: --host ${host} is no address of this machine: 127.0.0.1 serves this machine only, 0.0.0.0 the whole network`;
  return `serve: cannot listen on ${host}:${port}: ${error.message}`;
}
