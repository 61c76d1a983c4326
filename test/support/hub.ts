// Tests only: a hub of models, small, on this machine: what `sumbi pull` asks of one, and what goes wrong on the way.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface TestRepo {
  commit: string;
  files: Record<string, Uint8Array | string>;
  /** Readable with this token alone. */
  token?: string;
}

/** What happens to the next request of a file. */
export type Mishap = { cutAfter: number } | { hangAfter: number } | { damage: true } | { status: number };

export class TestHub {
  readonly repos = new Map<string, TestRepo>();
  /** `PATH bytes=…` of each file that was asked for, but for probes of a byte. */
  readonly asked: string[] = [];
  readonly mishaps: Mishap[] = [];
  private constructor(private readonly server: Server) {}

  static async open(): Promise<TestHub> {
    const server = createServer();
    const hub = new TestHub(server);
    server.on("request", (request, response) => hub.#answer(request, response));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return hub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(() => done()));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? "/", this.url);
    const fail = (status: number) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: "no" }));
    };
    const [, api, repo = "", kind] =
      /^\/(api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\//.exec(pathname) ?? [];
    const found = this.repos.get(repo);
    if (!found || (found.token && request.headers.authorization !== `Bearer ${found.token}`)) return fail(404);
    const json = (value: unknown) =>
      void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (api && kind === "revision") return json({ _id: "1", id: repo, sha: found.commit, siblings: [] });
    if (api && kind === "tree") return json(Object.entries(found.files).map(([path, data]) => entryOf(path, data)));
    const path = pathname.split(`/resolve/${found.commit}/`)[1] ?? "";
    const data = found.files[path];
    if (data === undefined) return fail(404);
    this.#send(request, response, path, Buffer.from(data));
  }

  #send(request: IncomingMessage, response: ServerResponse, path: string, data: Buffer): void {
    const range = request.headers.range ?? "";
    const [, from = "0", to = `${data.length - 1}`] = /^bytes=(\d+)-(\d+)?$/.exec(range) ?? [];
    const part = data.subarray(Number(from), Number(to) + 1);
    const probe = range === "bytes=0-0";
    if (!probe) this.asked.push(`${path} ${range}`.trim());
    const mishap = probe ? undefined : this.mishaps.shift();
    if (mishap && "status" in mishap) return void response.writeHead(mishap.status).end();
    response.writeHead(range ? 206 : 200, {
      "content-length": part.length,
      etag: `"${etagOf(path, data)}"`,
      ...(range && { "content-range": `bytes ${from}-${to}/${data.length}` }),
    });
    if (mishap && "cutAfter" in mishap)
      return void response.write(part.subarray(0, mishap.cutAfter), () => response.destroy());
    if (mishap && "hangAfter" in mishap) return void response.write(part.subarray(0, mishap.hangAfter));
    response.end(mishap && "damage" in mishap ? Buffer.from(part.map((byte) => byte ^ 1)) : part);
  }
}

const isLarge = (path: string): boolean => /\.(safetensors|gguf)$/.test(path);

/** The names that a hub gives contents: SHA-256 of large files, git's SHA-1 of others. */
export function etagOf(path: string, data: Uint8Array | string): string {
  if (isLarge(path)) return createHash("sha256").update(data).digest("hex");
  return createHash("sha1")
    .update(`blob ${Buffer.byteLength(data)}\0`)
    .update(data)
    .digest("hex");
}

function entryOf(path: string, data: Uint8Array | string): object {
  const size = Buffer.byteLength(data);
  const oid = etagOf(path, data);
  return isLarge(path)
    ? { type: "file", path, size, oid: "0".repeat(40), lfs: { oid, size, pointerSize: 130 } }
    : { type: "file", path, size, oid };
}
