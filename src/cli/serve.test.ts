import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scriptModel, served, until } from "../../test/support/fake-model.ts";
import { resolveModel } from "../checkpoint/index.ts";
import { type ServeOptions, startServing, warningOf } from "./serve.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "sumbi-serve-"));
  writeFileSync(join(dir, "config.json"), "{}");
});
afterAll(() => rmSync(dir, { recursive: true }));

const options = (more: Partial<ServeOptions> = {}): ServeOptions => ({
  host: "127.0.0.1",
  runs: join(dir, "runs"),
  ...more,
});
async function start(
  more: Partial<ServeOptions>,
  model = served(scriptModel(() => "la ".repeat(150), { delayMs: 2 })),
) {
  let printed = "";
  const server = await startServing(
    dir,
    options(more),
    async () => model,
    (text) => void (printed += text),
  );
  return { server, printed, model };
}

test("prints its address, for people and as JSON, and answers there", async () => {
  const { server, printed } = await start({ port: 0 });
  expect(printed).toContain(`${server.url}/v1`);
  expect(await (await fetch(`${server.url}/health`)).json()).toMatchObject({ status: "ok", model: "fake" });
  expect(await (await fetch(`${server.url}/api/runs`)).json()).toEqual([]);
  await server.close();
  const json = await start({ port: 0, json: true });
  expect(JSON.parse(json.printed)).toEqual({
    url: json.server.url,
    api: `${json.server.url}/v1`,
    model: "fake",
    host: "127.0.0.1",
    port: json.server.port,
  });
  await json.server.close();
});

test("a port that is taken: an error when it was asked for, the next free one when not", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const model = served(scriptModel(() => "x"));
  await expect(start({ port }, model)).rejects.toThrow(
    `serve: port ${port} is taken on 127.0.0.1: stop the program that listens there, or choose another with --port`,
  );
  await expect(async () => {
    for await (const _ of model.engine.generate({ prompt: [1], maxTokens: 1, stopIds: [], sampling: {} as never }))
      void _;
  }).rejects.toThrow(/closed/);
  other.close();
  const blocked = createServer().on("error", () => undefined);
  await new Promise<void>((resolve) => blocked.listen(8080, "127.0.0.1", resolve).once("error", () => resolve()));
  const { server, printed } = await start({});
  expect(server.port).toBeGreaterThan(8080);
  expect(printed).toContain("port 8080 is taken, so it is");
  await server.close();
  blocked.close();
  await expect(start({ port: 0, host: "203.0.113.7" })).rejects.toThrow(
    /--host 203.0.113.7 is no address of this machine/,
  );
});

test("PORT of the environment: any free one, an error when it is taken or no number, and weaker than --port", async () => {
  try {
    process.env["PORT"] = "0";
    const { server } = await start({});
    expect(server.port).not.toBe(8080);
    process.env["PORT"] = String(server.port);
    await expect(start({})).rejects.toThrow(`serve: port ${server.port} is taken on 127.0.0.1`);
    const other = await start({ port: 0 });
    expect(other.server.port).not.toBe(server.port);
    await other.server.close();
    await server.close();
    const load = (): never => expect.fail("the model was loaded");
    for (const text of ["abc", "-1", "65536", "80 "]) {
      process.env["PORT"] = text;
      await expect(startServing(dir, options(), load, () => undefined)).rejects.toThrow(
        `PORT: expected a number from 0 to 65535, got ${text}`,
      );
    }
  } finally {
    delete process.env["PORT"];
  }
});

test("keys come from options and from the environment, and are asked for", async () => {
  process.env.SUMBI_API_KEY = " env-one,env-two ";
  const { server, printed } = await start({ port: 0, apiKey: ["own"] });
  delete process.env.SUMBI_API_KEY;
  const status = async (key?: string) =>
    (await fetch(`${server.url}/v1/models`, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } }))
      .status;
  expect(await Promise.all([status(), status("other"), status("own"), status("env-one"), status("env-two")])).toEqual([
    401, 401, 200, 200, 200,
  ]);
  expect((await fetch(`${server.url}/health`)).status).toBe(200);
  expect(printed).toContain("with a key");
  expect(printed).not.toMatch(/own|env-one/);
  await server.close();
});

test("options that cannot be meant so are refused before the model is loaded", async () => {
  const load = (): never => expect.fail("the model was loaded");
  const wrong: [Partial<ServeOptions>, RegExp][] = [
    [{ apiKey: [""] }, /--api-key: expected/],
    [{ apiKey: ["two words"] }, /--api-key: expected/],
    [{ apiKey: ["schlüssel"] }, /--api-key: expected/],
    [
      { allowHost: ["http://sumbi.lan"] },
      /--allow-host: expected a name without port, such as sumbi.lan, got http:\/\/sumbi.lan/,
    ],
    [{ allowHost: ["sumbi.lan:8080"] }, /--allow-host/],
    [
      { allowOrigin: ["app.example"] },
      /--allow-origin: expected the address of a site, such as https:\/\/app.example, or \*, got app.example/,
    ],
    [{ allowOrigin: ["https://app.example/page"] }, /--allow-origin/],
    [{ allowOrigin: ["file:///page"] }, /--allow-origin/],
  ];
  for (const [more, message] of wrong)
    await expect(startServing(dir, options(more), load, () => undefined)).rejects.toThrow(message);
  const { server } = await start({ port: 0, allowOrigin: ["https://App.example/"], allowHost: ["Sumbi.lan"] });
  expect((await fetch(`${server.url}/v1/models`, { headers: { origin: "https://app.example" } })).status).toBe(200);
  await server.close();
});

test("who opens the server to others without a key is told", () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"])
    expect(warningOf(host, [])).toBeUndefined();
  for (const host of ["0.0.0.0", "::", "192.168.1.7", "127.evil.example", "sumbi.lan"]) {
    expect(warningOf(host, [])).toContain("everyone on the network can use this server");
    expect(warningOf(host, ["key"])).toBeUndefined();
  }
});

test("closing cuts off running answers and frees the model", async () => {
  const { server, model } = await start({ port: 0 });
  const body = JSON.stringify({ messages: [{ role: "user", content: "sing" }], stream: true });
  const response = await fetch(`${server.url}/v1/chat/completions`, { method: "POST", body });
  const whole = fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: body.replace(',"stream":true', ""),
  });
  await until(() => model.engine.status().active === 2);
  await server.close();
  expect(await response.text()).toContain('"code":"shutting_down"');
  expect((await whole).status).toBe(503);
  expect(model.engine.status()).toEqual({ active: 0, waiting: 0 });
  await expect(fetch(`${server.url}/health`)).rejects.toThrow();
});

test("a model is a folder or a bundled name", () => {
  expect(resolveModel(dir)).toBe(dir);
  expect(() => resolveModel(tmpdir())).toThrow(/expected a Hugging Face folder with a config.json, it has none/);
  expect(() => resolveModel("no-such-model")).toThrow(/no-such-model: there is no such folder/);
});
