/** Server-sent events: headers and text. */

/** Response headers of a server-sent event stream; the last one keeps reverse proxies from collecting it. */
export const SSE_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

const encoder = new TextEncoder();

export interface SseOptions {
  /** Sent as the last event when the source ends well. */
  end?: string;
  /** Events have names: their `type`. */
  named?: boolean;
  /** What to send when the source throws; the stream then ends. */
  error(error: unknown): unknown;
  /** Called once when nobody reads any more, or all is sent. */
  close(): void;
  /** A comment is sent after this long without an event, so that idle connections stay open and dead ones are noticed. */
  keepAliveMs?: number;
  /** Is given what sends such a comment at once, for when the client may be gone. */
  onProbe?(comment: () => void): void;
}

/** A client that takes nothing for this many keep-alive times (a minute) is given up: its answer holds a place in the engine. */
const STALLED_TICKS = 4;

/** Objects as server-sent events, one `data:` line of JSON each, under their names where they have them. Pulls from the source as fast as the client reads. */
export function eventStream(source: AsyncGenerator<unknown, void>, options: SseOptions): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval> | undefined;
  let closed = false;
  const event = (value: unknown): Uint8Array => {
    const name = options.named ? `event: ${(value as { type: string }).type}\n` : "";
    return encoder.encode(`${name}data: ${JSON.stringify(value)}\n\n`);
  };
  const close = (): void => {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    options.close();
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      let stalled = 0;
      /** Whether the client takes one. */
      const comment = (): boolean => {
        if (closed || (controller.desiredSize ?? 0) <= 0) return false;
        controller.enqueue(encoder.encode(": waiting\n\n"));
        return true;
      };
      options.onProbe?.(comment);
      timer = setInterval(() => {
        if (closed) return;
        if (comment()) stalled = 0;
        else if (++stalled === STALLED_TICKS) {
          close();
          controller.error(new Error("the client reads no more"));
          void source.return().catch(() => undefined);
        }
      }, options.keepAliveMs ?? 15_000);
    },
    async pull(controller) {
      try {
        const next = await source.next();
        if (closed) return;
        if (!next.done) {
          controller.enqueue(event(next.value));
          return;
        }
        if (options.end !== undefined) controller.enqueue(encoder.encode(`data: ${options.end}\n\n`));
      } catch (error) {
        if (closed) return;
        controller.enqueue(event(options.error(error)));
      }
      close();
      controller.close();
    },
    async cancel() {
      close();
      await source.return().catch(() => undefined);
    },
  });
}
