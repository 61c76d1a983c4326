/** The line before the model: how many requests a client and all clients may have under way, and how long one may wait. */
import { ApiError } from "../errors.ts";
import { Gate, shareOf } from "../infer/browser.ts";

export interface QueueOptions {
  /** Requests that are answered at once, sharing passes; default 32. One client never has all of them. */
  places?: number;
  /** Requests of one client under way, answered or waiting; default 256. */
  clientRequests?: number;
  /** Requests of all clients under way; default 1,024. */
  requests?: number;
  /** A request that has waited for so long is refused; default 60 s. */
  waitMs?: number;
}

/** One request's stay, from its first byte to the last of its answer. */
export interface Stay {
  readonly client: string;
  /** Waits for its turn. Throws ApiError 503 when that takes too long, the signal's reason when aborted. */
  turn(signal: AbortSignal): Promise<void>;
  /** Its end, to be called once or more. */
  leave(): void;
}

/** A timer set for longer would run out at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class RequestQueue {
  readonly #gate: Gate;
  readonly #options: Required<QueueOptions>;
  readonly #underWay = new Map<string, number>();
  #all = 0;
  /** About how long an answer takes. */
  #seconds = 1;

  constructor({ places = 32, clientRequests = 256, requests = 1024, waitMs = 60_000 }: QueueOptions = {}) {
    this.#options = { places, clientRequests, requests, waitMs };
    this.#gate = new Gate(places, shareOf(places));
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#gate.waiting;
  }

  /** Begins a stay, before anything of the request is read. Throws ApiError with a time to try again: 429 for the client's own many requests, 503 for all clients'. */
  enter(client: string): Stay {
    const { clientRequests, requests } = this.#options;
    const own = this.#underWay.get(client) ?? 0;
    if (own >= clientRequests)
      throw new ApiError(
        429,
        `You have ${own} requests under way, as many as one client may; wait for some of them`,
        "rate_limit_error",
        "too_many_requests",
        null,
        this.#retrySeconds(),
      );
    if (this.#all >= requests)
      throw new ApiError(
        503,
        `The server has ${this.#all} requests under way, as many as it takes; try again later`,
        "server_error",
        "overloaded",
        null,
        this.#retrySeconds(),
      );
    this.#all++;
    this.#underWay.set(client, own + 1);
    let leave: (() => void) | undefined;
    let over = false;
    let began = 0;
    return {
      client,
      turn: async (signal) => {
        leave = await this.#turn(client, signal);
        began = performance.now();
        if (over) leave();
      },
      leave: () => {
        if (over) return;
        over = true;
        leave?.();
        if (began > 0) this.#seconds += (Math.min(600, (performance.now() - began) / 1000) - this.#seconds) / 8;
        this.#all--;
        const left = (this.#underWay.get(client) ?? 1) - 1;
        if (left > 0) this.#underWay.set(client, left);
        else this.#underWay.delete(client);
      },
    };
  }

  async #turn(client: string, signal: AbortSignal): Promise<() => void> {
    const { waitMs } = this.#options;
    const late = new AbortController();
    const timer = setTimeout(
      () => {
        const message = `Your request waited ${waitMs / 1000} s for its turn, as long as one may; try again later`;
        late.abort(new ApiError(503, message, "server_error", "overloaded", null, this.#retrySeconds()));
      },
      Math.min(waitMs, LONGEST_TIMER_MS),
    );
    try {
      return await this.#gate.enter(AbortSignal.any([signal, late.signal]), client);
    } finally {
      clearTimeout(timer);
    }
  }

  /** When those who wait now will about have had their turn. */
  #retrySeconds(): number {
    return Math.min(60, Math.max(1, Math.ceil((this.#seconds * (this.#gate.waiting + 1)) / this.#options.places)));
  }
}
