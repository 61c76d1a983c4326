import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scriptModel, served } from "../../test/support/fake-model.ts";
import { RunReader, RunWriter } from "../runs/index.ts";
import { createApp } from "./app.ts";
import { pageRoutes } from "./pages.ts";
import { listen, type RunningServer } from "./server.ts";

let dir: string;
let server: RunningServer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "sumbi-server-"));
  mkdirSync(join(dir, "web", "assets"), { recursive: true });
  writeFileSync(join(dir, "web", "index.html"), "<title>pages</title>");
  writeFileSync(join(dir, "web", "assets", "main-AbCd1234.js"), "let x;");
  writeFileSync(join(dir, "web", "assets", "theme.js"), "let y;");
  writeFileSync(join(dir, "secret.txt"), "secret");
  const model = served(scriptModel((prompt) => (prompt.includes("why") ? "<think>so</think>because" : "hello")));
  const app = createApp({ model, runs: new RunReader(join(dir, "runs")), pages: pageRoutes(join(dir, "web")) });
  server = await listen(app, { host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

describe("pages", () => {
  test("are served with a policy that lets no foreign or inline script run", async () => {
    for (const path of ["/", "/runs", "/runs/some-run"]) {
      const response = await fetch(server.url + path);
      expect(await response.text()).toBe("<title>pages</title>");
      const policy = response.headers.get("content-security-policy")!;
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy.replace(/style-src-attr [^;]*/, "")).not.toContain("unsafe");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("cache-control")).toBe("no-cache");
    }
  });

  test("files named by their content are kept for good, others are asked for again", async () => {
    const hashed = await fetch(`${server.url}/assets/main-AbCd1234.js`);
    expect(hashed.headers.get("content-type")).toMatch(/^text\/javascript/);
    expect(hashed.headers.get("cache-control")).toContain("immutable");
    expect((await fetch(`${server.url}/assets/theme.js`)).headers.get("cache-control")).toBe("no-cache");
  });

  test("no path leads out of their folder", async () => {
    const get = (path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(server.port, "127.0.0.1", () =>
          socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
        );
        let text = "";
        socket
          .on("data", (chunk) => (text += String(chunk)))
          .on("end", () => resolve(text))
          .on("error", reject);
      });
    for (const path of [
      "/../secret.txt",
      "/assets/../../secret.txt",
      "/assets/%2e%2e/%2e%2e/secret.txt",
      "/assets/..%2f..%2fsecret.txt",
      "/assets/..\\..\\secret.txt",
      "//secret.txt",
      "/assets/%00",
    ]) {
      const answer = await get(path);
      expect(answer).toMatch(/^HTTP\/1.1 (400|403|404)/);
      expect(answer).not.toContain("\r\n\r\nsecret");
    }
  });
});

test("bytes that are no HTTP are answered with 400, and the server goes on", async () => {
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(server.port, "127.0.0.1", () => socket.write("\u0000\u0001 nonsense\r\n\r\n"));
    let text = "";
    socket.on("data", (chunk) => (text += String(chunk))).on("close", () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1.1 400/);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
});

test("training runs: the list, one run, and its log as it grows", async () => {
  const writer = await RunWriter.create(join(dir, "runs"), { recipeName: "tiny", recipe: { steps: 3 } });
  const step = (n: number) => ({ type: "step" as const, step: n, steps: 3, tokens: n * 8, loss: 5 - n });
  writer.write(step(1));
  const list = (await (await fetch(`${server.url}/api/runs`)).json()) as { id: string }[];
  expect(list).toMatchObject([{ recipeName: "tiny", status: "running", step: 1, steps: 3, loss: 4 }]);
  const { id } = list[0]!;
  const run = (await (await fetch(`${server.url}/api/runs/${id}`)).json()) as {
    run: object;
    log: object[];
    lines: number;
  };
  expect(run).toMatchObject({ run: { id, recipe: { steps: 3 } }, log: [step(1)], lines: 1 });

  const left = new AbortController();
  const stream = await fetch(`${server.url}/api/runs/${id}/stream?after=1`, { signal: left.signal });
  expect(stream.headers.get("content-type")).toContain("text/event-stream");
  writer.write(step(2));
  const { value } = await stream.body!.pipeThrough(new TextDecoderStream()).getReader().read();
  expect(value).toBe(`data: ${JSON.stringify(step(2))}\n\n`);
  left.abort();
  await writer.close();

  expect((await fetch(`${server.url}/api/runs/nothing`)).status).toBe(404);
  expect((await fetch(`${server.url}/api/runs/..%2f..%2fetc`)).status).toBe(404);
  expect((await fetch(`${server.url}/api/runs/nothing/stream`)).status).toBe(404);
  expect(await (await fetch(`${server.url}/api/runs/${id}/rollouts`)).json()).toEqual([]);
  expect((await fetch(`${server.url}/api/runs/..%2fetc/rollouts`)).status).toBe(404);
  expect(await (await fetch(`${server.url}/api/runs/${id}/stream?after=x`)).json()).toMatchObject({
    error: { param: "after" },
  });
});

describe("the AI SDK", () => {
  const model = () => createOpenAICompatible({ name: "sumbi", baseURL: `${server.url}/v1` }).chatModel("fake");

  test("generates", async () => {
    const { text, reasoningText, usage, finishReason } = await generateText({
      model: model(),
      prompt: "why?",
      temperature: 0,
    });
    expect({ text, reasoningText, finishReason }).toEqual({
      text: "because",
      reasoningText: "so",
      finishReason: "stop",
    });
    expect(usage.outputTokens).toBe(12);
  });

  test("streams, thoughts and answer apart", async () => {
    const parts: Record<string, string> = {};
    for await (const part of streamText({ model: model(), prompt: "why?", temperature: 0 }).fullStream)
      if (part.type === "text-delta" || part.type === "reasoning-delta")
        parts[part.type] = (parts[part.type] ?? "") + part.text;
    expect(parts).toEqual({ "text-delta": "because", "reasoning-delta": "so" });
  });
});

test("a connection whose request was refused before its end serves the next one", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const post = (body: string): Promise<{ status: number | undefined; reused: boolean }> =>
    new Promise((resolve, reject) => {
      const sent = request(
        `${server.url}/v1/completions`,
        { method: "POST", agent, headers: { "content-type": "application/json", "content-length": body.length } },
        (answer) => {
          answer.resume().on("end", () => resolve({ status: answer.statusCode, reused: sent.reusedSocket }));
        },
      );
      sent.on("error", reject).end(body);
    });
  const small = JSON.stringify({ prompt: "a", max_tokens: 1 });
  expect(await post(small)).toEqual({ status: 200, reused: false });
  for (const refused of [
    `{"prompt":${"[".repeat(1_000_000)}`,
    `{"prompt":[${"0,".repeat(2_000_000)}0]}`,
    " ".repeat(15_000_000),
  ]) {
    expect((await post(refused)).status).toBeGreaterThanOrEqual(400);
    expect(await post(small)).toEqual({ status: 200, reused: true });
  }
  agent.destroy();
});
