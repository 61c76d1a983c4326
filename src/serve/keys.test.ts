import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { fakeModel, hashLogits, served } from "../../test/support/fake-model.ts";
import { RunReader } from "../runs/index.ts";
import { createApp } from "./app.ts";
import { ApiKeys } from "./keys.ts";
import { pageRoutes } from "./pages.ts";

const dir = mkdtempSync(join(tmpdir(), "sumbi-keys-"));
writeFileSync(join(dir, "index.html"), "<title>pages</title>");
afterAll(() => rmSync(dir, { recursive: true }));

const model = fakeModel(hashLogits);
const app = createApp({
  model: served(model),
  keys: ["first-key", "second-key"],
  runs: new RunReader(join(dir, "runs")),
  pages: pageRoutes(dir),
  origins: ["https://app.example"],
});
const ask = (path: string, authorization?: string, init: RequestInit = {}) =>
  app.request(path, {
    ...init,
    headers: { ...(init.headers as Record<string, string>), ...(authorization === undefined ? {} : { authorization }) },
  });
const post = { method: "POST", body: JSON.stringify({ prompt: "x", max_tokens: 2 }) };

test("everything but /health and the pages' own files wants one of the keys", async () => {
  for (const path of [
    "/v1/models",
    "/v1/models/fake",
    "/api/model",
    "/api/runs",
    "/api/runs/x",
    "/v1/completions",
    "/nothing",
  ]) {
    const init = path === "/v1/completions" ? post : {};
    for (const wrong of [
      undefined,
      "",
      "Bearer",
      "Bearer ",
      "first-key",
      "Basic first-key",
      "Bearer first-ke",
      "Bearer first-keys",
      "Bearer FIRST-KEY",
      "Bearer first-key second-key",
      "Bearer first-key,second-key",
    ]) {
      const answer = await ask(path, wrong, init);
      expect([path, wrong, answer.status]).toEqual([path, wrong, 401]);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      expect(await answer.json()).toEqual({
        error: {
          message: expect.stringContaining("API key") as string,
          type: "invalid_request_error",
          param: null,
          code: "invalid_api_key",
        },
      });
    }
    for (const right of ["Bearer first-key", "bearer second-key", "Bearer  second-key "])
      expect([200, 404]).toContain((await ask(path, right, init)).status);
  }
  for (const path of ["/health", "/", "/runs"]) expect((await ask(path)).status).toBe(200);
});

test("nothing is read and nothing runs for one without a key", async () => {
  const { passes } = model.counts;
  const body = new ReadableStream({
    pull() {
      throw new Error("the body was read");
    },
  });
  const answer = await app.request("/v1/completions", { method: "POST", body, duplex: "half" } as RequestInit);
  expect(answer.status).toBe(401);
  expect(model.counts.passes).toBe(passes);
});

test("a browser may ask beforehand without the key, and a foreign page is refused even with it", async () => {
  const headers = {
    origin: "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
  };
  const preflight = await ask("/v1/completions", undefined, { method: "OPTIONS", headers });
  expect([
    preflight.status,
    preflight.headers.get("access-control-allow-origin"),
    preflight.headers.get("access-control-allow-headers"),
  ]).toEqual([204, "https://app.example", "authorization,content-type"]);
  expect(
    (await ask("/v1/completions", "Bearer first-key", { ...post, headers: { origin: "https://app.example" } })).status,
  ).toBe(200);
  expect(
    (await ask("/v1/completions", "Bearer first-key", { ...post, headers: { origin: "https://evil.example" } })).status,
  ).toBe(403);
});

test("which key it is, is found by all of it", async () => {
  const keys = new ApiKeys(["a", "b", "b2", "ü"]);
  expect(await Promise.all(["a", "b", "b2", "c", undefined].map((key) => keys.find(key)))).toEqual([
    0,
    1,
    2,
    undefined,
    undefined,
  ]);
});

test("a key may come as x-api-key", async () => {
  const status = async (key: string, authorization?: string): Promise<number> =>
    (await ask("/v1/models", authorization, { headers: { "x-api-key": key } })).status;
  expect(await status("second-key")).toBe(200);
  expect(await status("third-key")).toBe(401);
  // some clients send a placeholder beside it
  expect(await status("second-key", "Bearer none")).toBe(200);
});
