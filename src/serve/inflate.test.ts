import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fakeModel, served } from "../../test/support/fake-model.ts";
import { createApp } from "./app.ts";
import { inflate } from "./inflate.ts";
import { listen, type RunningServer } from "./server.ts";

const MOST = 2 ** 20;
const faults: unknown[] = [];
const app = createApp({
  model: served(fakeModel(() => 65)),
  bodyBytes: MOST,
  inflate,
  onError: (error) => faults.push(error),
});
let server: RunningServer;
beforeAll(async () => {
  server = await listen(app, { host: "127.0.0.1", port: 0 });
});
afterAll(() => server.close());

const body = JSON.stringify({ prompt: "x", max_tokens: 3 });
const doors: [string, (init: RequestInit) => Promise<Response>][] = [
  ["over a connection", (init) => fetch(`${server.url}/v1/completions`, init)],
  ["as a web request", async (init) => app.request("/v1/completions", init)],
];
const packed = (coding: string, bytes: Uint8Array): RequestInit => ({
  method: "POST",
  body: new Uint8Array(bytes),
  headers: { "content-encoding": coding },
});
interface Refusal {
  error: { code: string; message: string };
}

describe.each(doors)("a compressed body, %s", (_, post) => {
  test.each([
    ["gzip", gzipSync(body)],
    ["GZIP", gzipSync(body)],
    ["x-gzip", Buffer.concat([gzipSync(body.slice(0, 9)), gzipSync(body.slice(9))])],
    ["deflate", deflateSync(body)],
    ["br", brotliCompressSync(body)],
  ])("%s is read", async (coding, bytes) => {
    const response = await post(packed(coding, bytes));
    expect(await response.json()).toMatchObject({ choices: [{ text: "AAA" }] });
  });

  test("a bomb is refused at the bound of what it holds", async () => {
    const bomb = gzipSync(Buffer.alloc(16 * MOST, " "));
    expect(bomb.length).toBeLessThan(MOST / 8);
    const response = await post(packed("gzip", bomb));
    expect(response.status).toBe(413);
    expect(((await response.json()) as Refusal).error.code).toBe("request_too_large");
  });

  test("deep nesting in it is found before it is parsed", async () => {
    const response = await post(packed("br", brotliCompressSync("[".repeat(MOST / 2))));
    expect([response.status, ((await response.json()) as Refusal).error.code]).toEqual([400, "invalid_json"]);
  });

  test.each([
    ["broken", "gzip", gzipSync(body).fill(7, 12, 30)],
    ["cut off", "gzip", gzipSync(body).subarray(0, 20)],
    ["of another coding", "deflate", gzipSync(body)],
    ["empty", "gzip", Buffer.alloc(0)],
  ])("one that is %s is refused", async (_what, coding, bytes) => {
    const response = await post(packed(coding, bytes));
    const { error } = (await response.json()) as Refusal;
    expect([response.status, error.code]).toEqual([400, "invalid_encoding"]);
  });

  test("a coding that is not known is refused with those that are", async () => {
    const response = await post(packed("gzip, gzip", gzipSync(gzipSync(body))));
    expect(response.status).toBe(415);
    expect(((await response.json()) as Refusal).error.message).toBe(
      "content-encoding: expected one of identity, gzip, deflate, br, got 'gzip, gzip'",
    );
  });

  test("the next request is answered", async () => {
    expect((await post({ method: "POST", body })).status).toBe(200);
    expect(faults).toEqual([]);
  });
});
