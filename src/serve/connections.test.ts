import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scriptModel, served, underWay, until } from "../../test/support/fake-model.ts";
import { chunkedBytes, raw, requestBytes } from "../../test/support/raw.ts";
import { createApp } from "./app.ts";
import type { RunSource } from "./runs.ts";
import { listen, type RunningServer } from "./server.ts";

const CHAT = "/v1/chat/completions";
const model = scriptModel((prompt) => (prompt.includes("sing") ? "la ".repeat(60) : "hello"), { delayMs: 2 });
const faults: unknown[] = [];
let server: RunningServer;
beforeAll(async () => {
  server = await listen(
    createApp({ model: served(model), bodyBytes: 2 ** 20, onError: (error) => faults.push(error) }),
    { host: "127.0.0.1", port: 0 },
  );
});
afterAll(async () => {
  await server.close();
  expect(faults).toEqual([]);
  expect(underWay(model)).toBe(0);
});

const HEALTH = requestBytes("GET", "/health");
const ask = (content: string, more: object = {}): string =>
  JSON.stringify({ messages: [{ role: "user", content }], ...more });
interface Gone {
  n?: number;
  stream?: boolean;
  long?: boolean;
  waits?: boolean;
}
const hello = { choices: [{ message: { content: "hello" }, finish_reason: "stop" }] };
const error = (code: string) => ({
  error: { message: expect.any(String) as string, type: "invalid_request_error", param: null, code },
});

const chunkedHead = (): string => `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`;

describe("bodies in chunks", () => {
  test("are read as any other, whole or as a stream", async () => {
    for (const size of [1, 7, 1000]) {
      const answer = await raw(server.port, chunkedBytes(CHAT, ask("hi"), size));
      expect(answer.statuses).toEqual([200]);
      expect(answer.json).toMatchObject(hello);
    }
    const stream = await raw(server.port, chunkedBytes(CHAT, ask("hi", { stream: true })));
    expect(stream.text).toContain("data: [DONE]");
    const slowly = await raw(server.port, chunkedBytes(CHAT, ask("hi"), 20).split(/(?<=\r\n)/), { gapMs: 2 });
    expect(slowly.json).toMatchObject(hello);
  });

  test("that are too large are refused when they have come so far, and the answer arrives", async () => {
    const chunk = `10000\r\n${" ".repeat(2 ** 16)}\r\n`;
    const head = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const answer = await raw(server.port, [head, ...new Array<string>(40).fill(chunk)], { gapMs: 1 });
    expect(answer.statuses).toEqual([413]);
    expect(answer.json).toEqual(error("request_too_large"));
    const told = await raw(server.port, requestBytes("POST", CHAT, "", { "Content-Length": "99999999" }));
    expect(told.statuses).toEqual([413]);
  });

  test("that are crumbs by the thousand are refused, and the rest is neither read nor waited for", async () => {
    const head = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const some = await raw(server.port, chunkedBytes(CHAT, ask("hi") + " ".repeat(4000), 1));
    expect(some.json).toMatchObject(hello);
    const larger = await raw(server.port, chunkedBytes(CHAT, ask("hi") + " ".repeat(100_000), 20));
    expect(larger.json).toMatchObject(hello);
    // kept alive by its words, and never at its end
    for (const half of [false, true]) {
      const answer = await raw(server.port, head + "1\r\n \r\n".repeat(300_000), { half });
      expect(answer.statuses).toEqual([400]);
      expect(answer.json).toEqual(error("too_many_chunks"));
      expect(answer.headers["connection"]).toBe("close");
    }
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test("that are no chunks, or both in chunks and of a length", async () => {
    expect(
      await raw(server.port, `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`),
    ).toMatchObject({ statuses: [400], json: error("invalid_http") });
    expect(
      await raw(server.port, requestBytes("POST", CHAT, "hello", { "Transfer-Encoding": "chunked" })),
    ).toMatchObject({ statuses: [400], json: error("invalid_http") });
  });
});

test("other methods: 405 and OPTIONS, both with what is allowed; HEAD where GET is", async () => {
  const paths: [string, string][] = [
    [CHAT, "POST"],
    ["/v1/completions", "POST"],
    ["/v1/models", "GET, HEAD"],
    ["/v1/models/fake", "GET, HEAD"],
    ["/api/model", "GET, HEAD"],
    ["/health", "GET, HEAD"],
  ];
  for (const [path, own] of paths) {
    for (const method of ["PUT", "DELETE", "PATCH", "TRACE", own === "POST" ? "GET" : "POST"]) {
      const answer = await raw(server.port, requestBytes(method, path, method === "PUT" ? "{}" : ""));
      expect([path, method, answer.statuses, answer.headers["allow"], answer.json]).toEqual([
        path,
        method,
        [405],
        `${own}, OPTIONS`,
        error("method_not_allowed"),
      ]);
    }
    const options = await raw(server.port, requestBytes("OPTIONS", path));
    expect([path, options.statuses, options.headers["allow"], options.text.endsWith("\r\n\r\n")]).toEqual([
      path,
      [204],
      `${own}, OPTIONS`,
      true,
    ]);
    const head = await raw(server.port, requestBytes("HEAD", path));
    expect([path, head.statuses, head.text.endsWith("\r\n\r\n")]).toEqual([path, [own === "POST" ? 405 : 200], true]);
  }
  for (const method of ["PUT", "OPTIONS", "GET"])
    expect((await raw(server.port, requestBytes(method, "/v3/nothing"))).json).toEqual(error("not_found"));
});

describe("a client that closes its half when it has sent all", () => {
  test("still gets its answer, whole or as a stream, from HTTP/1.0 too", async () => {
    const whole = await raw(server.port, requestBytes("POST", CHAT, ask("sing")), { half: true });
    expect(whole.statuses.at(-1)).toBe(200);
    expect(whole.json).toMatchObject({ choices: [{ message: { content: "la ".repeat(60) } }] });
    const chunked = await raw(server.port, chunkedBytes(CHAT, ask("sing")), { half: true });
    expect(chunked.json).toMatchObject({ choices: [{ finish_reason: "stop" }] });
    const stream = await raw(server.port, requestBytes("POST", CHAT, ask("sing", { stream: true })), { half: true });
    expect(stream.text).toContain("data: [DONE]");
    const old = await raw(server.port, requestBytes("POST", CHAT, ask("sing")).replace("HTTP/1.1", "HTTP/1.0"), {
      half: true,
    });
    expect([old.statuses, old.json]).toMatchObject([[200], { choices: [{ finish_reason: "stop" }] }]);
  });

  test("is told when it had not sent all", async () => {
    const cut = requestBytes("POST", CHAT, ask("hi"), { "Content-Length": "500" });
    expect(await raw(server.port, cut, { half: true })).toMatchObject({
      statuses: [400],
      json: error("incomplete_body"),
    });
    expect(await raw(server.port, "GET /health HTTP/1.1\r\nHost: loc", { half: true })).toMatchObject({
      statuses: [400],
      json: error("incomplete_body"),
    });
  });

  // an answer, or a prompt, of a quarter of a minute: only who notices ends it before
  test.each([
    ["destroyed", { n: 2 }],
    ["reset", { n: 2 }],
    ["destroyed", { stream: true }],
    ["destroyed while its prompt is read for a stream", { stream: true, long: true }],
    ["destroyed while its prompt is read", { long: true }],
    ["destroyed while it waits in the queue", { waits: true }],
    ["destroyed while it waits in the queue for a stream", { waits: true, stream: true }],
  ])(
    "one that is gone altogether is noticed, and its work ends: %s, %o",
    async (gone, { long, waits, ...more }: Gone) => {
      const patient = scriptModel(() => "la ".repeat(100), { delayMs: 100 });
      const app = createApp({
        model: served(patient, { prefillTokens: 4 }),
        onError: (error) => faults.push(error),
        queue: { places: waits ? 1 : 8 },
      });
      const patiently = await listen(app, { host: "127.0.0.1", port: 0 });
      const client = (body: string) => {
        const socket = connect(patiently.port, "127.0.0.1", () => socket.write(requestBytes("POST", CHAT, body)));
        return socket.on("error", () => undefined).resume();
      };
      const health = async (): Promise<number> => {
        const { active, waiting } = (await (await fetch(`${patiently.url}/health`)).json()) as Record<string, number>;
        return (active ?? 0) + (waiting ?? 0);
      };
      const quick = { interval: 20, timeout: 3000 };
      try {
        const before = waits ? client(ask("sing")) : undefined;
        if (before) await expect.poll(health, quick).toBe(1);
        const socket = client(ask(long ? "sing ".repeat(80) : "s", more));
        await expect.poll(health, quick).toBe((more.n ?? 1) + (waits ? 1 : 0));
        if (!long && !waits) await expect.poll(() => patient.counts.passes, quick).toBeGreaterThan(9);
        if (gone === "reset") socket.resetAndDestroy();
        else socket.destroy();
        await expect.poll(health, quick).toBe(waits ? 1 : 0);
        before?.resetAndDestroy();
      } finally {
        await patiently.close(0);
      }
    },
  );
});

test("a client that leaves a run's stream on which nothing happens is noticed", async () => {
  let following = 0;
  const runs = {
    list: () => Promise.resolve([]),
    info: () => Promise.resolve({}),
    follow: async function* (_: string, { signal }: { signal: AbortSignal }) {
      yield { line: 1, record: { type: "end", step: 1, reason: "done" } };
      following++;
      await once(signal, "abort");
      following--;
    },
  } as unknown as RunSource;
  const quiet = await listen(createApp({ runs }), { host: "127.0.0.1", port: 0 });
  try {
    const socket = connect(quiet.port, "127.0.0.1", () => socket.write(requestBytes("GET", "/api/runs/r/stream")));
    await expect.poll(() => following).toBe(1);
    socket.destroy();
    await expect.poll(() => following, { timeout: 3000 }).toBe(0);
  } finally {
    await quiet.close(0);
  }
});

describe("a client that sends byte by byte", () => {
  let slow: RunningServer;
  beforeAll(async () => {
    const app = createApp({ model: served(model), onError: (error) => faults.push(error) });
    slow = await listen(app, { host: "127.0.0.1", port: 0, headersMs: 600 });
  });
  afterAll(() => slow.close());
  const head = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n`;

  test.each([
    ["headers", `${head}X-Slow: `],
    ["a body of a length", `${head}Content-Length: 5000\r\n\r\n`],
  ])("%s: is told that it took too long, and others are answered meanwhile", async (_, begin) => {
    // a byte each 50 ms would go on for a minute
    const dripping = raw(slow.port, [begin, ...new Array<string>(1200).fill("x")], { gapMs: 50 });
    const other = await raw(slow.port, requestBytes("POST", CHAT, ask("hi")));
    expect(other.json).toMatchObject(hello);
    const answer = await dripping;
    expect(answer).toMatchObject({ statuses: [408], json: error("request_timeout") });
    expect(underWay(model)).toBe(0);
  });
});

test("clients that are killed in the middle of a request leave their places to others", async () => {
  const app = createApp({
    model: served(model),
    onError: (error) => faults.push(error),
    queue: { places: 2, clientRequests: 2 },
  });
  const small = await listen(app, { host: "127.0.0.1", port: 0 });
  const client = `
    const socket = require("node:net").connect(${small.port}, "127.0.0.1", () => socket.write(process.argv[1]));
    socket.on("data", (data) => process.stdout.write(data));`;
  const whole = requestBytes("POST", CHAT, ask("sing", { stream: true, n: 4 }));
  const half = requestBytes("POST", CHAT, "{", { "Content-Length": "500" });
  try {
    for (const bytes of [whole, half, whole, half]) {
      const child = spawn(process.execPath, ["-e", client, bytes], { stdio: ["ignore", "pipe", "inherit"] });
      if (bytes === whole) await once(child.stdout, "data");
      else await new Promise((later) => setTimeout(later, 300));
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await until(() => underWay(model) === 0);
    for (let i = 0; i < 4; i++)
      expect((await raw(small.port, requestBytes("POST", CHAT, ask("hi")))).json).toMatchObject(hello);
  } finally {
    await small.close();
  }
});

describe("what the parser cannot read is answered with an error of the API", () => {
  test.each<[string, string, number, string]>([
    ["no HTTP", "\u0000\u0001 nonsense\r\n\r\n", 400, "invalid_http"],
    ["a method that is none", "BREW /tea HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_http"],
    [
      "headers that are too large",
      `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(20_000)}\r\n\r\n`,
      431,
      "headers_too_large",
    ],
    [
      "chunks' extensions that are too large",
      `${chunkedHead()}1;${"a".repeat(20_000)}\r\n \r\n`,
      413,
      "request_too_large",
    ],
    ["no host", "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "invalid_url"],
    ["a host that is none", "GET /health HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", 400, "invalid_url"],
    [
      "another host in the address than in the header",
      "GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      403,
      "host_not_allowed",
    ],
    ["a path that is none", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400, "invalid_url"],
    [
      "a name in the address",
      `POST http://me:it@localhost${CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
      400,
      "invalid_url",
    ],
    ["an expectation", "GET /health HTTP/1.1\r\nHost: localhost\r\nExpect: pie\r\n\r\n", 417, "expectation_failed"],
    ["a proxy's question", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method_not_allowed"],
  ])("%s", async (_, bytes, status, code) => {
    expect(await raw(server.port, bytes)).toMatchObject({ statuses: [status], json: error(code) });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  test("what was asked before it on the same connection is answered first, whatever comes behind it", async () => {
    const first = requestBytes("POST", CHAT, ask("sing"), { Connection: "keep-alive" });
    const answer = await raw(server.port, [`${first}nonsense\r\n\r\n`, "more\r\n\r\n", HEALTH], { gapMs: 50 });
    expect(answer.statuses).toEqual([200, 400]);
    expect(answer.text).toContain('"content":"la la');
  });
});

test("requests sent one behind the other are answered in order", async () => {
  const keep = { Connection: "keep-alive" };
  const answer = await raw(
    server.port,
    requestBytes("POST", CHAT, ask("sing"), keep) +
      requestBytes("GET", "/health", "", keep) +
      requestBytes("GET", "/v1/models"),
  );
  expect(answer.statuses).toEqual([200, 200, 200]);
  expect(answer.text.indexOf("la la")).toBeLessThan(answer.text.indexOf('"status":"ok"'));
  expect(answer.json).toMatchObject({ object: "list" });
});

test("what is still sent of a refused request is dropped, however slowly it comes, and the next one on its connection is answered", async () => {
  const keep = { Connection: "keep-alive" };
  const start = "[".repeat(1000);
  for (const path of [CHAT, "/nothing"]) {
    const head = requestBytes("POST", path, start, { ...keep, "Content-Length": String(start.length + 8_000) });
    const rest = new Array<string>(8).fill(" ".repeat(1000));
    const answer = await raw(server.port, [head, ...rest, requestBytes("GET", "/health", "", keep), ""], {
      gapMs: 100,
      half: true,
    });
    expect([path, answer.statuses]).toEqual([path, [path === CHAT ? 400 : 404, 200]]);
    expect(answer.headers["keep-alive"]).toBe("timeout=60");
  }
});

test("a client that waits for leave to send is given it", async () => {
  const [head = "", body = ""] = requestBytes("POST", CHAT, ask("hi"), { Expect: "100-continue" }).split(
    /(?<=\r\n\r\n)/,
  );
  const answer = await raw(server.port, [head, body], { gapMs: 30 });
  expect(answer.statuses).toEqual([100, 200]);
});

test("one address has so many connections and no more", async () => {
  const sockets = Array.from({ length: 300 }, () => connect(server.port, "127.0.0.1").on("error", () => undefined));
  const texts = sockets.map(
    (socket) => new Promise<string>((resolve) => socket.once("data", (data) => resolve(String(data)))),
  );
  const refused = await Promise.race(texts);
  expect(refused).toMatch(/^HTTP\/1.1 429 .*\r\nRetry-After: 1\r\n.*"code":"too_many_requests"/s);
  for (const socket of sockets) socket.destroy();
  await until(() => sockets.every((socket) => socket.destroyed));
  await expect.poll(async () => (await raw(server.port, requestBytes("GET", "/health"))).statuses).toEqual([200]);
});
