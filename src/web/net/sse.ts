/** Server-sent events read from a response. */

/** One event of a text/event-stream. */
export interface SseEvent {
  event: string;
  data: string;
  id: string | null;
}

/**
 * Splits a text/event-stream, given in pieces of any size, into events, by the WHATWG rules: lines end in LF, CR or
 * CRLF; `data` lines of one event are joined by LF; comments and unknown fields are passed over; an event without data
 * is dropped, and so is one that the stream's end cuts off.
 */
export class SseParser {
  private buffer = "";
  private scanned = 0;
  private started = false;
  private data: string[] = [];
  private event = "";
  private id: string | null = null;

  constructor(private readonly onEvent: (event: SseEvent) => void) {}

  push(piece: string): void {
    if (!this.started && piece.length > 0) {
      this.started = true;
      if (piece.charCodeAt(0) === 0xfeff) piece = piece.slice(1);
    }
    this.buffer += piece;
    let start = 0;
    let i = this.scanned;
    for (; i < this.buffer.length; i++) {
      const c = this.buffer.charCodeAt(i);
      if (c !== 10 && c !== 13) continue;
      // A CR at the very end may be the first half of a CRLF: wait for the next piece.
      if (c === 13 && i === this.buffer.length - 1) break;
      this.line(this.buffer.slice(start, i));
      if (c === 13 && this.buffer.charCodeAt(i + 1) === 10) i++;
      start = i + 1;
    }
    this.buffer = this.buffer.slice(start);
    this.scanned = i - start;
  }

  private line(line: string): void {
    if (line === "") {
      if (this.data.length > 0)
        this.onEvent({ event: this.event || "message", data: this.data.join("\n"), id: this.id });
      this.data = [];
      this.event = "";
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.data.push(value);
    else if (field === "event") this.event = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
  }
}

/** The events of a response's body. Leaving the loop early cancels the request. */
export async function* readSse(body: ReadableStream<Uint8Array>): AsyncGenerator<SseEvent> {
  const events: SseEvent[] = [];
  const parser = new SseParser((event) => events.push(event));
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      parser.push(decoder.decode(value, { stream: true }));
      while (events.length > 0) yield events.shift()!;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
