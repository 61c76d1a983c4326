/** What happens on connections beside requests: bytes that are no HTTP, clients that close one half, read nothing, or come in crowds. */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ApiError } from "../errors.ts";
import { CUT_OFF, STILL_THERE } from "./body.ts";
import { networkOf } from "./client.ts";
import { errorBody } from "./errors.ts";
import { newId } from "./ids.ts";

export interface ConnectionOptions {
  /** Connections at once, of all clients; default 2,048. Where there are so many, the one that has been silent longest makes room. */
  connections?: number;
  /** Connections at once of one client; default 256. */
  clientConnections?: number;
  /** A client that takes none of its answer for so long is gone; default 60 s. */
  stalledMs?: number;
  /** How long a refused client may take to read why; default 1 s. */
  lingerMs?: number;
  /** What a client may still send of a request that is answered, and how long; default 64 MiB, 30 s. */
  drainBytes?: number;
  drainMs?: number;
}

/** When a client that has closed its half is asked whether it still listens: after these times, and each two seconds from then on. */
const PROBES_MS = [100, 200, 1_000];
const LATER_PROBES_MS = 2_000;

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

interface Connection {
  /** What was asked and is not answered to its end. */
  exchanges: Exchange[];
  /** Bytes that had been read by the time the last request was answered. */
  answered: number;
  /** Counts it no more. */
  forget(): void;
}

/** Ends the connection on which nothing has been asked for the longest time, and nothing is being asked, if there is one. */
function endSilentLongest(open: ReadonlyMap<Socket, Connection>): void {
  for (const [socket, { exchanges, answered, forget }] of open) {
    if (exchanges.length > 0 || socket.bytesRead > answered) continue;
    forget();
    socket.destroy();
    return;
  }
}

export function tendConnections(
  server: Server,
  {
    connections = 2048,
    clientConnections = 256,
    stalledMs = 60_000,
    lingerMs = 1_000,
    drainBytes = 2 ** 26,
    drainMs = 30_000,
  }: ConnectionOptions = {},
): void {
  /** Those that asked last stand last. */
  const open = new Map<Socket, Connection>();
  const ofClient = new Map<string, number>();
  const refuse = refuseAt.bind(undefined, lingerMs);
  /** Nothing more is read of these. */
  const cut = new WeakSet<Socket>();

  server.on("connection", (socket: Socket) => {
    const client = networkOf(socket.remoteAddress ?? "");
    const own = (ofClient.get(client) ?? 0) + 1;
    if (own <= clientConnections && open.size >= connections) endSilentLongest(open);
    if (own > clientConnections || open.size >= connections)
      return refuse(
        socket,
        own > clientConnections
          ? new ApiError(429, "Too many connections from one address", "rate_limit_error", "too_many_requests", null, 1)
          : new ApiError(503, "Too many connections", "server_error", "overloaded", null, 1),
      );
    ofClient.set(client, own);
    const exchanges: Exchange[] = [];
    const forget = () => {
      if (!open.delete(socket)) return;
      const left = (ofClient.get(client) ?? 1) - 1;
      if (left > 0) ofClient.set(client, left);
      else ofClient.delete(client);
    };
    open.set(socket, { exchanges, answered: 0, forget });
    socket.once("close", forget);
    socket.once("end", () => stillThere(exchanges));
  });
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const connection = open.get(socket);
    const exchange = { request, response };
    connection?.exchanges.push(exchange);
    // behind the others
    if (connection && open.delete(socket)) open.set(socket, connection);
    request.once(CUT_OFF, () => {
      cut.add(request.socket);
      cutOff(exchange, lingerMs);
    });
    response.once("close", () => {
      if (connection === undefined) return;
      connection.exchanges.splice(connection.exchanges.indexOf(exchange), 1);
      connection.answered = socket.bytesRead;
    });
    response.once("finish", () => {
      if (!request.readableEnded && !cut.has(request.socket)) drain(request, drainBytes, drainMs);
    });
  });

  // a client may close its half once it has sent all: it still waits for the answer (RFC 9112, 9.6)
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;

  server.on("clientError", (error: NodeJS.ErrnoException & { reason?: string }, socket: Socket) => {
    // the answer that ends it is under way
    if (cut.has(socket)) return;
    const exchanges = open.get(socket)?.exchanges;
    if (!exchanges || !socket.writable || error.code === "ECONNRESET" || error.code === "EPIPE")
      return void socket.destroy();
    readNoMore(socket);
    // what was asked before the fault is answered first
    const [first] = exchanges;
    const whole = exchanges.filter(({ request }) => request.complete);
    let waiting = whole.length;
    if (waiting === 0) return refuse(socket, parserError(error), first?.response.headersSent);
    for (const { response } of whole)
      response.once("close", () => void (--waiting === 0 && refuse(socket, parserError(error))));
  });

  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    const text = bodyOf(
      new ApiError(
        417,
        `expect: only 100-continue is understood, got '${String(request.headers.expect).slice(0, 100)}'`,
        "invalid_request_error",
        "expectation_failed",
      ),
    );
    response
      .writeHead(417, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
        "x-request-id": newId("req", "_"),
        connection: "close",
      })
      .end(text);
  });

  server.on("connect", (_request: IncomingMessage, socket: Socket) => {
    refuse(
      socket,
      new ApiError(
        405,
        `CONNECT: this is no proxy, and leads nowhere else`,
        "invalid_request_error",
        "method_not_allowed",
      ),
    );
  });

  // Node's five seconds are as long as clients keep one (httpx) or nearly (undici): their next request would meet its end
  server.keepAliveTimeout = stalledMs;
  // idle for long: either we have nothing to say (it rests, or we compute), or the client does not read
  server.timeout = stalledMs;
  server.on("timeout", (socket: Socket) => {
    if (socket.writableLength > 0 || (open.get(socket)?.exchanges.length ?? 0) === 0) socket.destroy();
  });
}

/**
 * The end of what a client sends may be the end of the client. A few bytes find out: to one that is gone they bring a reset, and the next write fails.
 * Before the answer that is an interim one (102, which clients pass over; HTTP/1.0 knows none), in an event stream a comment, however long its first event takes.
 */
function stillThere(exchanges: readonly Exchange[]): void {
  const ask = (n: number): void => {
    const probe = (): void => {
      const [first] = exchanges;
      if (first === undefined) return;
      if (first.response.headersSent) first.request.emit(STILL_THERE);
      else if (first.request.httpVersion !== "1.0") first.response.writeProcessing();
      ask(n + 1);
    };
    setTimeout(probe, PROBES_MS[n] ?? LATER_PROBES_MS).unref();
  };
  ask(0);
}

/** Drops what a client still sends of a request that is answered, so that its next one is read; who sends on for long, or much, is cut off. */
function drain(request: IncomingMessage, bytes: number, ms: number): void {
  let dropped = 0;
  const end = (): void => {
    request.off("data", count);
    request.socket.destroySoon();
  };
  const count = (piece: Buffer): void => {
    dropped += piece.length;
    if (dropped > bytes) end();
  };
  const timer = setTimeout(end, ms).unref();
  request.on("data", count);
  for (const over of ["end", "close", "error"]) request.once(over, () => clearTimeout(timer));
  request.resume();
}

/** Takes a request no further: what still comes is dropped before it is parsed, and the connection ends with the answer, once the client could read it. */
function cutOff({ request: { socket }, response }: Exchange, lingerMs: number): void {
  response.shouldKeepAlive = false;
  readNoMore(socket);
  socket.destroySoon = () => {
    socket.end();
    setTimeout(() => socket.destroy(), lingerMs).unref();
  };
}

/** What still comes is dropped, and no parser sees it. */
function readNoMore(socket: Socket): void {
  socket.removeAllListeners("data");
  socket.on("data", () => undefined);
}

const bodyOf = (error: ApiError): string => JSON.stringify(errorBody(error).body);

/** Says why on a connection of which nothing more is read, unless an answer has begun on it, and ends it. */
function refuseAt(lingerMs: number, socket: Socket, error: ApiError, begun = false): void {
  const text = bodyOf(error);
  const retry = error.retryAfterSeconds === undefined ? "" : `Retry-After: ${error.retryAfterSeconds}\r\n`;
  if (begun || !socket.writable) return void socket.destroy();
  socket.on("error", () => undefined);
  readNoMore(socket);
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nX-Request-Id: ${newId("req", "_")}\r\n${retry}Connection: close\r\n\r\n${text}`,
  );
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

/** What Node's HTTP parser found wrong, as an error of the API. */
function parserError(error: NodeJS.ErrnoException & { reason?: string }): ApiError {
  if (error.code === "HPE_HEADER_OVERFLOW")
    return new ApiError(431, "The request's headers are too large", "invalid_request_error", "headers_too_large");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new ApiError(408, "The request took too long to arrive", "invalid_request_error", "request_timeout");
  if (error.code === "HPE_CHUNK_EXTENSIONS_OVERFLOW")
    return new ApiError(
      413,
      "The request's chunk extensions are too large",
      "invalid_request_error",
      "request_too_large",
    );
  if (error.code === "HPE_INVALID_EOF_STATE")
    return new ApiError(400, "The request broke off before it was whole", "invalid_request_error", "incomplete_body");
  return new ApiError(
    400,
    `The request is not HTTP/1.1: ${error.reason ?? error.message}`,
    "invalid_request_error",
    "invalid_http",
  );
}
