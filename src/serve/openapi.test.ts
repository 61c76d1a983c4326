import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { fakeModel, hashLogits, served } from "../../test/support/fake-model.ts";
import { createApp } from "./app.ts";

type Operation = { requestBody?: { content: { "application/json": { schema: object } } } };
type Document = {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  security?: unknown;
};

const app = createApp({ model: served(fakeModel(hashLogits)) });
const document = (await (await app.request("/openapi.json")).json()) as Document;
const bodyOf = (path: string): object => document.paths[path]!.post!.requestBody!.content["application/json"].schema;

test("describes every path of the API that is routed, and none besides", () => {
  const routed = app.routes
    .filter(({ method, path }) => method !== "ALL" && !path.startsWith("/api/"))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual([...new Set(routed)].sort());
  expect(document.openapi).toBe("3.1.0");
});

test("docs/api.md names every path, and every parameter", () => {
  const docs = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");
  const unnamed = Object.keys(document.paths).filter((path) => !docs.includes(path.replace("{id}", "ID")));
  expect(unnamed).toEqual([]);
  const paths = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/embeddings",
    "/tokenize",
  ];
  const parameters = paths.flatMap((path) => {
    const schema = bodyOf(path) as { properties?: object; anyOf?: { properties: object }[] };
    return Object.keys(schema.properties ?? schema.anyOf?.[0]?.properties ?? {});
  });
  expect(parameters.length).toBeGreaterThan(80);
  expect([...new Set(parameters)].filter((name) => !docs.includes(name))).toEqual([]);
});

test("its schemas are JSON Schema, and take and refuse what the server does", async () => {
  const ajv = new Ajv2020({ strict: false });
  const messages = [{ role: "user", content: [{ type: "text", text: "x" }] }];
  const cases: [string, object, boolean][] = [
    ["/v1/chat/completions", { messages, max_tokens: 1, logit_bias: { 7: -100 }, stop: ["a"] }, true],
    ["/v1/chat/completions", { messages: [] }, false],
    ["/v1/chat/completions", { messages: [{ role: "user", content: [{ type: "text" }] }] }, false],
    ["/v1/chat/completions", { messages, logit_bias: { seven: 1 } }, false],
    ["/v1/chat/completions", { messages, stop: new Array(65).fill("x") }, false],
    ["/v1/completions", { prompt: [[1, 2], [3]], max_tokens: 1 }, true],
    ["/v1/completions", { prompt: [[]] }, false],
    ["/v1/embeddings", { input: ["a", "b"] }, true],
    ["/v1/embeddings", { input: 7 }, false],
    ["/v1/responses", { input: [{ role: "user", content: "x" }], max_output_tokens: 1 }, true],
    ["/v1/responses", { input: [{ role: "user" }] }, false],
    ["/v1/messages", { messages, max_tokens: 1 }, true],
    ["/v1/messages", { messages }, false],
    ["/tokenize", { content: "x" }, true],
    ["/detokenize", { tokens: [-1] }, false],
  ];
  for (const [path, body, good] of cases) {
    const { status } = await app.request(path, { method: "POST", body: JSON.stringify(body) });
    expect([path, body, ajv.compile(bodyOf(path))(body), status === 200]).toEqual([path, body, good, good]);
  }
});

test("says whether a key is asked for", async () => {
  const locked = createApp({ model: served(fakeModel(hashLogits)), keys: ["k"] });
  const response = await locked.request("/openapi.json", { headers: { "x-api-key": "k" } });
  expect(((await response.json()) as Document).security).toEqual([{ bearer: [] }, { key: [] }]);
  expect(document.security).toBeUndefined();
});
