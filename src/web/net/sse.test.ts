import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readSse, type SseEvent, SseParser } from "./sse.ts";

function parse(pieces: string[]): SseEvent[] {
  const events: SseEvent[] = [];
  const parser = new SseParser((event) => events.push(event));
  for (const piece of pieces) parser.push(piece);
  return events;
}

describe("SseParser", () => {
  it("reads data, event and id, joins data lines, drops comments, unknown fields and events without data", () => {
    const text =
      "\ufeff: hello\nevent: a\ndata: one\ndata:two\nid: 7\nretry: 10\n\nevent: empty\n\ndata\n\ndata:  x\n\n";
    expect(parse([text])).toEqual([
      { event: "a", data: "one\ntwo", id: "7" },
      { event: "message", data: "", id: "7" },
      { event: "message", data: " x", id: "7" },
    ]);
  });

  it("drops an event that the end of the stream cuts off", () => {
    expect(parse(["data: a\n\ndata: b\n"]).map((e) => e.data)).toEqual(["a"]);
  });

  it("gives the same events however the stream is cut and whichever line ends it uses", () => {
    const payload = fc.array(
      fc.string({ maxLength: 12 }).map((s) => s.replace(/[\r\n\ufeff]/g, "")),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(
        payload,
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.array(fc.nat(40), { maxLength: 20 }),
        (payloads, eol, cuts) => {
          // A last comment line, so that a CR at the very end is not waited on.
          const text = payloads.map((data) => `data: ${data}${eol}${eol}`).join("") + `:${eol}:`;
          const pieces: string[] = [];
          let rest = text;
          for (const cut of cuts) {
            pieces.push(rest.slice(0, cut));
            rest = rest.slice(cut);
          }
          pieces.push(rest);
          expect(parse(pieces).map((e) => e.data)).toEqual(payloads);
        },
      ),
    );
  });
});

describe("readSse", () => {
  it("decodes characters that are cut between two chunks, and cancels the body when the reader leaves", async () => {
    const bytes = new TextEncoder().encode("data: 숨비\n\ndata: 2\n\n");
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      },
      cancel() {
        cancelled = true;
      },
    });
    for await (const event of readSse(body)) {
      expect(event.data).toBe("숨비");
      break;
    }
    expect(cancelled).toBe(true);
  });
});
