/** How long and how much connections may go on, each bound with times of its own. */
import { connect, type Socket } from "node:net";
import { Hono } from "hono";
import { afterEach, describe, expect, test } from "vitest";
import { scriptModel, served } from "../../test/support/fake-model.ts";
import { raw, requestBytes } from "../../test/support/raw.ts";
import { createApp } from "./app.ts";
import type { ConnectionOptions } from "./connections.ts";
import { listen, type RunningServer } from "./server.ts";

const CHAT = "/v1/chat/completions";
const HEALTH = requestBytes("GET", "/health");
const KEEP = { Connection: "keep-alive" };
const open: { server?: RunningServer; sockets: Socket[] } = { sockets: [] };
afterEach(async () => {
  for (const socket of open.sockets.splice(0)) socket.destroy();
  await open.server?.close(0);
});

const model = scriptModel(() => "la ".repeat(20), { delayMs: 10 });
const serving = async (
  connections: ConnectionOptions,
  app: Hono = createApp({ model: served(model) }),
  headersMs?: number,
) => (open.server = await listen(app, { host: "127.0.0.1", port: 0, connections, headersMs })).port;
/** A client that ends nothing by itself; what it got, and whether it is over. */
const client = (port: number, bytes = ""): { socket: Socket; text: () => string; over: () => boolean } => {
  let text = "";
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  open.sockets.push(socket);
  socket.on("error", () => undefined).on("data", (data) => (text += String(data)));
  if (bytes !== "") socket.write(bytes);
  return { socket, text: () => text, over: () => socket.readableEnded || socket.destroyed };
};
const drip = (socket: Socket, bytes: string, gapMs: number): void => {
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(bytes)), gapMs);
  socket.once("close", () => clearInterval(timer));
};
const soon = { interval: 10, timeout: 2500 };
const ask = (content: string): string => JSON.stringify({ messages: [{ role: "user", content }] });
const crumbs = (count: number): string => "1\r\n \r\n".repeat(count);
const chunked = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`;

describe("a request that is answered before it is whole", () => {
  const refused = requestBytes("POST", CHAT, "[".repeat(1000), { ...KEEP, "Content-Length": "50000000" });

  test("may send on for so long", async () => {
    const { socket, text, over } = client(await serving({ drainMs: 200 }), refused);
    drip(socket, " ", 20);
    await expect.poll(over, soon).toBe(true);
    expect(text()).toMatch(/^HTTP\/1.1 413 /);
  });

  test("may send on for so much", async () => {
    const { socket, text, over } = client(await serving({ drainBytes: 2 ** 20 }), refused);
    await expect.poll(text, soon).toMatch(/^HTTP\/1.1 413 /);
    socket.write(" ".repeat(2 ** 19));
    await new Promise((later) => setTimeout(later, 50));
    expect(over()).toBe(false);
    socket.write(" ".repeat(2 ** 21));
    await expect.poll(over, soon).toBe(true);
  });
});

describe("a flood of crumbs", () => {
  test("is told why once, behind what was asked before it, when its client has closed its half too", async () => {
    const port = await serving({});
    const first = requestBytes("POST", CHAT, ask("sing"), KEEP);
    const answer = await raw(port, first + chunked + crumbs(10_000), { half: true });
    expect(answer.statuses.filter((status) => status !== 102)).toEqual([200, 400]);
    expect(answer.json).toMatchObject({ error: { code: "too_many_chunks" } });
  });

  test("is the last that is read on its connection", async () => {
    const asked: string[] = [];
    const app = new Hono().use((c, next) => (asked.push(c.req.path), next()));
    const port = await serving({ lingerMs: 300 }, app.route("/", createApp({ model: served(model) })));
    const answer = await raw(port, [chunked + crumbs(30_000), `0\r\n\r\n${HEALTH}`], { gapMs: 50 });
    expect(answer.statuses).toEqual([400]);
    expect(asked).toEqual([CHAT]);
  });

  test("is told why also when its client looks up from sending only then, and is not heard for long", async () => {
    const { socket, text, over } = client(await serving({ lingerMs: 600 }));
    socket.pause();
    socket.write(chunked);
    drip(socket, crumbs(2000), 10);
    await new Promise((later) => setTimeout(later, 300));
    expect(socket.destroyed).toBe(false);
    socket.resume();
    await expect.poll(text, soon).toContain("too_many_chunks");
    await expect.poll(() => over() && socket.destroyed, soon).toBe(true);
  });
});

test("what comes of a request after its time is not read, though an earlier one is still answered", async () => {
  const port = await serving({}, createApp({ model: served(model) }), 200);
  const late = [
    `${requestBytes("POST", CHAT, ask("sing"), KEEP)}GET /health HTTP/1.1\r\nHost: local`,
    "host\r\n\r\n",
    "",
  ];
  const answer = await raw(port, late, { gapMs: 400 });
  expect(answer.statuses).toEqual([200, 408]);
});

test("a fault after an answer has begun ends it, and puts nothing into it", async () => {
  const app = new Hono().get("/stream", (c) =>
    c.body(new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("begun")) })),
  );
  const { socket, text, over } = client(
    await serving({}, app),
    "GET /stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n",
  );
  await expect.poll(text, soon).toContain("begun");
  socket.write("no chunk\r\n");
  await expect.poll(over, soon).toBe(true);
  expect(text().match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200"]);
});

describe("a connection on which nothing moves", () => {
  test("ends when nothing was asked, not while an answer is computed", async () => {
    const port = await serving({ stalledMs: 250 });
    const idle = client(port);
    const asking = client(port, requestBytes("POST", CHAT, ask("sing")));
    await expect.poll(idle.over, soon).toBe(true);
    expect(idle.text()).toBe("");
    await expect.poll(asking.text, soon).toContain(`"content":"${"la ".repeat(20)}"`);
  });

  test("ends when its client takes nothing of its answer", async () => {
    let cancelled = false;
    const app = new Hono().get("/endless", (c) =>
      c.body(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(2 ** 18)),
          cancel: () => void (cancelled = true),
        }),
      ),
    );
    const { socket } = client(await serving({ stalledMs: 250 }, app), requestBytes("GET", "/endless"));
    socket.pause();
    await expect.poll(() => cancelled, soon).toBe(true);
  });
});

test("all clients have so many connections together; who is refused is heard no more, and not for long", async () => {
  const asked: string[] = [];
  const app = new Hono().use((c, next) => (asked.push(c.req.path), next()));
  const port = await serving({ connections: 2, lingerMs: 200 }, app.route("/", createApp({})));
  const [first, second] = [client(port, "GET / HTTP/1.1\r\n"), client(port, "GET / HTTP/1.1\r\n")];
  await new Promise((later) => setTimeout(later, 50));
  const third = client(port);
  await expect.poll(third.text, soon).toMatch(/^HTTP\/1.1 503 .*\r\nRetry-After: 1\r\n.*"code":"overloaded"/s);
  drip(third.socket, requestBytes("GET", "/refused", "", KEEP), 10);
  await expect.poll(() => third.socket.destroyed, soon).toBe(true);
  expect(asked).toEqual([]);
  first.socket.destroy();
  await expect.poll(async () => (await raw(port, HEALTH)).statuses, soon).toEqual([200]);
  expect(second.over()).toBe(false);
});

test("where there are too many connections the one that has been silent longest makes room", async () => {
  const port = await serving({ connections: 3 });
  const asks = requestBytes("GET", "/health", "", KEEP);
  const [spoke, silent, speaking] = [client(port, asks), client(port), client(port, "GET / HTTP/1.1\r\n")];
  await expect.poll(spoke.text, soon).toMatch(/^HTTP\/1.1 200 /);
  spoke.socket.write(asks);
  await expect.poll(() => spoke.text().split("HTTP/1.1 200").length, soon).toBe(3);
  expect((await raw(port, HEALTH)).statuses).toEqual([200]);
  await expect.poll(silent.over, soon).toBe(true);
  expect([spoke.over(), speaking.over()]).toEqual([false, false]);
  const last = client(port, asks);
  await expect.poll(last.text, soon).toMatch(/^HTTP\/1.1 200 /);
  const more = client(port, asks);
  await expect.poll(more.text, soon).toMatch(/^HTTP\/1.1 200 /);
  expect(spoke.over()).toBe(true);
  expect(speaking.over()).toBe(false);
});
