import { connect } from "node:net";

/** What a client that writes its own bytes gets: all that comes until the connection ends. */
export interface RawAnswer {
  text: string;
  /** The statuses of the answers in it, interim ones too. */
  statuses: number[];
  /** The last answer's body, parsed. */
  json: unknown;
  headers: Record<string, string>;
}

export interface RawOptions {
  /** Closes its half when all is sent. */
  half?: boolean;
  /** Pause between the pieces. */
  gapMs?: number;
  host?: string;
}

/** Sends pieces as they are over a socket of its own. */
export function raw(port: number, pieces: string | readonly string[], options: RawOptions = {}): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: options.host ?? "127.0.0.1", allowHalfOpen: true });
    const send = async (): Promise<void> => {
      for (const piece of [pieces].flat()) {
        if (socket.destroyed) return;
        socket.write(piece, "latin1");
        if (options.gapMs !== undefined) await new Promise((later) => setTimeout(later, options.gapMs));
      }
      if (options.half) socket.end();
    };
    socket.on("connect", () => void send());
    socket.on("data", (chunk) => (text += chunk.toString("utf8")));
    socket.on("end", () => socket.end());
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(read(text)));
  });
}

function read(text: string): RawAnswer {
  const starts = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)];
  const last = text.slice(starts.at(-1)?.index ?? 0);
  const [head = "", ...body] = last.split("\r\n\r\n");
  const headers = Object.fromEntries(
    head
      .split("\r\n")
      .slice(1)
      .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  let json: unknown;
  try {
    json = JSON.parse(body.join("\r\n\r\n"));
  } catch {
    // a stream, or nothing
  }
  return { text, statuses: starts.map((start) => Number(start[1])), json, headers };
}

/** The bytes of a request, `connection: close` among its headers. */
export function requestBytes(method: string, path: string, body = "", headers: Record<string, string> = {}): string {
  const lines = {
    Host: "localhost",
    Connection: "close",
    ...(body === "" ? {} : { "Content-Length": String(Buffer.byteLength(body)) }),
    ...headers,
  };
  return `${method} ${path} HTTP/1.1\r\n${Object.entries(lines)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n${body}`;
}

/** The same, its body in chunks of so many characters. */
export function chunkedBytes(path: string, body: string, size = 7): string {
  const chunks = body.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`;
}
