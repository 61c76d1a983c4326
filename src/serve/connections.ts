/** What happens on connections beside requests: bytes that are no HTTP, clients that close one half, read nothing, or come in crowds. */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ApiError } from "../errors.ts";
import { CUT_OFF } from "./body.ts";
import { networkOf } from "./client.ts";
import { errorBody } from "./errors.ts";

/** Connections at once, of all clients and of one. */
const MAX_CONNECTIONS = 1024;
const MAX_OF_ONE = 256;
/** A client that takes none of its answer for so long is gone. */
const STALLED_MS = 60_000;
/** When a client that has closed its half is asked whether it still listens. */
const PROBES_MS = [100, 200, 1_000, 4_000];
const LATER_PROBES_MS = 15_000;
/** How long a refused client may take to read why. */
const LINGER_MS = 1_000;

/** What a client may still send of a request that is answered, and how long. */
const DRAIN_BYTES = 2 ** 26;
const DRAIN_MS = 30_000;

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

export function tendConnections(server: Server): void {
  const open = new Map<Socket, Exchange[]>();
  const ofClient = new Map<string, number>();
  /** Nothing more is read of these. */
  const cut = new WeakSet<Socket>();

  server.on("connection", (socket: Socket) => {
    const client = networkOf(socket.remoteAddress ?? "");
    const own = (ofClient.get(client) ?? 0) + 1;
    if (own > MAX_OF_ONE || open.size >= MAX_CONNECTIONS)
      return refuse(
        socket,
        own > MAX_OF_ONE
          ? new ApiError(429, "Too many connections from one address", "rate_limit_error", "too_many_requests", null, 1)
          : new ApiError(503, "Too many connections", "server_error", "overloaded", null, 1),
      );
    ofClient.set(client, own);
    const exchanges: Exchange[] = [];
    open.set(socket, exchanges);
    socket.once("close", () => {
      open.delete(socket);
      const left = (ofClient.get(client) ?? 1) - 1;
      if (left > 0) ofClient.set(client, left);
      else ofClient.delete(client);
    });
    socket.once("end", () => stillThere(exchanges));
  });
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    const exchanges = open.get(request.socket);
    const exchange = { request, response };
    exchanges?.push(exchange);
    request.once(CUT_OFF, () => {
      cut.add(request.socket);
      cutOff(exchange);
    });
    response.once("close", () => void exchanges?.splice(exchanges.indexOf(exchange), 1));
    response.once("finish", () => {
      if (!request.readableEnded && !cut.has(request.socket)) drain(request);
    });
  });

  // a client may close its half once it has sent all: it still waits for the answer (RFC 9112, 9.6)
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;

  server.on("clientError", (error: NodeJS.ErrnoException & { reason?: string }, socket: Socket) => {
    // the answer that ends it is under way
    if (cut.has(socket)) return;
    const exchanges = open.get(socket);
    if (!exchanges || !socket.writable || error.code === "ECONNRESET" || error.code === "EPIPE")
      return void socket.destroy();
    open.delete(socket);
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
  server.keepAliveTimeout = STALLED_MS;
  // idle for long: either we have nothing to say (it rests, or we compute), or the client does not read
  server.timeout = STALLED_MS;
  server.on("timeout", (socket: Socket) => {
    if (socket.writableLength > 0 || (open.get(socket)?.length ?? 0) === 0) socket.destroy();
  });
}

/**
 * The end of what a client sends may be the end of the client. An interim answer (102, which clients pass over) finds out: to one
 * that is gone it brings a reset, and the next write fails. Streams find out by themselves.
 */
function stillThere(exchanges: readonly Exchange[]): void {
  const ask = (n: number): void => {
    const [first] = exchanges;
    if (first === undefined || first.response.headersSent || first.request.httpVersion === "1.0") return;
    const timer = setTimeout(() => {
      if (exchanges[0] !== first) return ask(n);
      if (!first.response.headersSent && !first.response.destroyed) first.response.writeProcessing();
      ask(n + 1);
    }, PROBES_MS[n] ?? LATER_PROBES_MS);
    timer.unref();
    first.response.once("close", () => clearTimeout(timer));
  };
  ask(0);
}

/** Drops what a client still sends of a request that is answered, so that its next one is read; who sends on for long, or much, is cut off. */
function drain(request: IncomingMessage): void {
  const { socket } = request;
  const end = (): void => socket.destroySoon();
  const timer = setTimeout(end, DRAIN_MS).unref();
  let dropped = 0;
  request.on("data", (piece: Buffer) => void ((dropped += piece.length) > DRAIN_BYTES && end()));
  for (const over of ["end", "close", "error"]) request.once(over, () => clearTimeout(timer));
  request.resume();
}

/** Takes a request no further: what still comes is dropped before it is parsed, and the connection ends with the answer, once the client could read it. */
function cutOff({ request: { socket }, response }: Exchange): void {
  response.shouldKeepAlive = false;
  socket.removeAllListeners("data");
  socket.on("data", () => undefined);
  socket.destroySoon = () => {
    socket.end();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
}

const bodyOf = (error: ApiError): string => JSON.stringify(errorBody(error).body);

/** Says why on a connection that understands nothing else any more, unless an answer has begun on it, and ends it. */
function refuse(socket: Socket, error: ApiError, begun = false): void {
  const text = bodyOf(error);
  const retry = error.retryAfterSeconds === undefined ? "" : `Retry-After: ${error.retryAfterSeconds}\r\n`;
  if (begun || !socket.writable) return void socket.destroy();
  socket.on("error", () => undefined);
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n${retry}Connection: close\r\n\r\n${text}`,
  );
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
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
