/** One request from its first byte to the last of its answer: read, planned, its turn waited for, answered whole or as a stream. */
import type { Context } from "hono";
import { BodyMemory, type Inflate, STILL_THERE, withBody } from "./body.ts";
import { clientOf, incomingOf } from "./client.ts";
import { headerOf, refuseIgnored } from "./fields.ts";
import { Meter, type Totals } from "./meter.ts";
import { type ParseRequest, parseRequest, type Requests } from "./parse.ts";
import type { RequestQueue } from "./queue.ts";
import { boundsOf, encoderOf, type ServedModel } from "./served.ts";
import { eventStream, SSE_HEADERS } from "./sse.ts";

/** What a request wants of a model: an answer, whole or in chunks. */
export interface Work {
  stream: boolean;
  whole(signal: AbortSignal): Promise<object>;
  chunks(signal: AbortSignal): AsyncGenerator<object, void>;
}

/** What a request wants, or its answer where no model had to be asked. */
export type Planned = Work | { body: object };

/** Checks a request and says what it wants. Throws ApiError for all that can be refused. */
export type Plan<Kind extends keyof Requests> = (
  request: Requests[Kind],
  served: ServedModel,
  signal: AbortSignal,
  meter: Meter,
) => Promise<Planned>;

/** How a door writes its streams. */
export interface StreamStyle {
  /** Sent as the last event when all went well. */
  end?: string;
  /** Events have names: their `type`. */
  named?: boolean;
}

export interface ExchangeOptions {
  queue: RequestQueue;
  totals: Totals;
  /** What a failed request is answered with, and tells of faults of ours. */
  failed: (error: unknown, c: Context, event?: boolean) => { body: object };
  bodyBytes?: number;
  parse?: ParseRequest;
  inflate?: Inflate;
  strict?: boolean;
  onIgnored?: (names: readonly string[], where: string) => void;
}

/** A request as it is named in logs. */
export const whereOf = (c: Context): string => `${c.req.method} ${c.req.path} ${c.get("requestId") ?? ""}`.trimEnd();

/** Answers requests to one model. What a request does stops when its client leaves. */
export class Exchange {
  readonly #memory = new BodyMemory();

  constructor(
    readonly model: ServedModel,
    private readonly options: ExchangeOptions,
  ) {}

  async answer<Kind extends keyof Requests>(
    c: Context,
    kind: Kind,
    plan: Plan<Kind>,
    style: StreamStyle = {},
  ): Promise<Response> {
    const { queue, totals, failed } = this.options;
    const client = clientOf(c);
    const stay = queue.enter(client);
    const left = new AbortController();
    const leave = (): void => {
      left.abort();
      stay.leave();
      c.req.raw.signal.removeEventListener("abort", leave);
    };
    c.req.raw.signal.addEventListener("abort", leave, { once: true });
    let streams = false;
    try {
      const request = await this.#read(c, kind, client);
      const meter = new Meter(totals);
      const work = await plan(request, servedTo(client, this.model, meter), left.signal, meter);
      if ("body" in work) return c.json(work.body);
      await stay.turn(left.signal);
      if (!work.stream) return c.json(await work.whole(left.signal));
      streams = true;
      const events = eventStream(work.chunks(left.signal), {
        ...style,
        error: (error) => failed(error, c, true).body,
        close: leave,
        onProbe: (comment) => void incomingOf(c)?.on(STILL_THERE, comment),
      });
      return c.body(events, 200, SSE_HEADERS);
    } finally {
      if (!streams) leave();
      // What a refused request still sends is taken in and dropped, so that the next one on its connection is read.
      incomingOf(c)?.resume();
    }
  }

  async #read<Kind extends keyof Requests>(c: Context, kind: Kind, client: string): Promise<Requests[Kind]> {
    const { bodyBytes = 16 * 2 ** 20, parse = parseRequest, inflate, strict, onIgnored } = this.options;
    const incoming = incomingOf(c);
    const request = await withBody(
      c.req.raw,
      { maxBytes: bodyBytes, memory: this.#memory, client, incoming, inflate },
      (bytes) => parse(kind, bytes, boundsOf(this.model)),
    );
    if (strict) refuseIgnored(request.ignored);
    if (request.ignored.length > 0) {
      c.header("x-sumbi-ignored", headerOf(request.ignored));
      onIgnored?.(request.ignored, whereOf(c));
    }
    return request;
  }
}

/** A model as one request uses it: what it asks for waits for its client's turn, and is measured. */
function servedTo(client: string, model: ServedModel, meter: Meter): ServedModel {
  const { engine } = model;
  const encoder = encoderOf(model);
  return {
    ...model,
    engine: {
      limits: engine.limits,
      generate: meter.follow((request, signal) => engine.generate(request, signal, client)),
      score: (tokens, top, signal) => engine.score(tokens, top, signal, client),
      vectorSize: engine.vectorSize,
      embed: async (tokens, pooling, signal) => {
        meter.read(tokens.length);
        return engine.embed?.(tokens, pooling, signal, client) ?? new Float32Array();
      },
      status: () => engine.status(),
      close: () => engine.close(),
    },
    encoder: {
      chat: (messages, options, signal) => encoder.chat(messages, options, signal, client),
      texts: (texts, signal, _, options) => encoder.texts(texts, signal, client, options),
      close: () => encoder.close(),
    },
  };
}
