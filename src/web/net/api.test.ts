import { afterEach, describe, expect, it, vi } from "vitest";
import { Fault, fetchModel, parsePiece, streamChat, toFault } from "./api.ts";

afterEach(() => vi.unstubAllGlobals());

/** A server that answers every request alike. */
function answerWith(body: string, init: ResponseInit = {}): void {
  vi.stubGlobal("fetch", async () => new Response(body, init));
}

async function collect(): Promise<string> {
  let text = "";
  for await (const piece of streamChat({ messages: [] }, new AbortController().signal)) text += piece.content ?? "";
  return text;
}

const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

describe("streamChat", () => {
  it("yields what comes and ends at [DONE]", async () => {
    answerWith(
      chunk({ role: "assistant", content: "" }) +
        chunk({ content: "9" }) +
        chunk({ content: "33" }) +
        chunk({}, "stop") +
        "data: [DONE]\n\n" +
        chunk({ content: "late" }),
    );
    expect(await collect()).toBe("933");
  });

  it("calls a stream that breaks off before a finish reason interrupted", async () => {
    answerWith(chunk({ content: "9" }));
    await expect(collect()).rejects.toMatchObject({ kind: "interrupted" });
  });

  it("raises an error that comes in the middle of the stream", async () => {
    answerWith(
      chunk({ content: "9" }) +
        `data: ${JSON.stringify({ error: { message: "the model was unloaded", code: "internal_error" } })}\n\n`,
    );
    await expect(collect()).rejects.toMatchObject({ kind: "server", message: "the model was unloaded" });
  });

  it("tells a server that is gone from one that refuses", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("Failed to fetch");
    });
    await expect(collect()).rejects.toMatchObject({ kind: "unreachable" });
    answerWith("<html>Bad gateway</html>", { status: 502 });
    await expect(collect()).rejects.toMatchObject({ kind: "server", status: 502 });
  });

  it("passes an abort on as it is", async () => {
    vi.stubGlobal("fetch", async (_url: string, init: RequestInit) => {
      throw init.signal!.reason;
    });
    const abort = new AbortController();
    abort.abort();
    await expect(streamChat({ messages: [] }, abort.signal).next()).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("parsePiece", () => {
  it("reads reasoning under both of its names", () => {
    expect(parsePiece('{"choices":[{"delta":{"reasoning_content":"a"}}]}')).toEqual({ reasoning: "a" });
    expect(parsePiece('{"choices":[{"delta":{"reasoning":"b","content":"c"}}]}')).toEqual({
      reasoning: "b",
      content: "c",
    });
  });

  it("takes a chunk that has only usage, and ignores fields of the wrong type", () => {
    expect(parsePiece('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}')).toEqual({
      usage: { prompt_tokens: 3, completion_tokens: 4 },
    });
    expect(
      parsePiece('{"choices":[{"delta":{"content":{"x":1}},"finish_reason":5}],"dropped_messages":"many"}'),
    ).toEqual({});
    expect(parsePiece('{"choices":[{"delta":{"content":""}}],"dropped_messages":4}')).toEqual({
      content: "",
      dropped: 4,
    });
  });

  it("raises a Fault for what is not JSON, or no object", () => {
    expect(() => parsePiece("{")).toThrow(Fault);
    expect(() => parsePiece("null")).toThrow(Fault);
  });
});

describe("toFault", () => {
  it("knows a context that is full by code or by words", () => {
    expect(toFault(400, { error: { message: "too long", code: "context_length_exceeded" } }).kind).toBe("context");
    expect(toFault(400, { error: { message: "This model's maximum context length is 512 tokens" } }).kind).toBe(
      "context",
    );
  });

  it("sorts by status where the body says nothing", () => {
    expect(toFault(429, null)).toMatchObject({ kind: "busy", message: "The server answered with status 429." });
    expect(toFault(422, { error: "no" })).toMatchObject({ kind: "refused", message: "no" });
    expect(toFault(500, {}).kind).toBe("server");
  });
});

describe("fetchModel", () => {
  it("needs /v1/models only, and takes /api/model where there is one", async () => {
    vi.stubGlobal("fetch", async (path: string) =>
      path === "/v1/models" ? Response.json({ data: [{ id: "nano", created: 5 }] }) : new Response("", { status: 404 }),
    );
    expect(await fetchModel()).toEqual({ id: "nano", created: 5, models: ["nano"], details: {} });
  });

  it("says so when a server has only runs to show", async () => {
    answerWith("{}", { status: 404 });
    await expect(fetchModel()).rejects.toThrow(/no model/);
  });
});
