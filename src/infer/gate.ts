/** The gate before the engine: how many may be inside, how many wait, and in which order clients take turns. */

/** The callers of one client that wait, and how many are inside. */
interface Client {
  taken: number;
  /** Grows each time one of them is let in: the client whose turn is longest ago is next. */
  turn: number;
  /** Most places it may have. */
  readonly share: number;
  readonly line: Set<() => void>;
}

/**
 * Lets `places` callers in at once. Those of one client come in the order they asked; clients take turns, the one with the fewest
 * inside first, so that one that asks for much keeps nobody else waiting. No client that has a name takes more than `share` of the places.
 */
export class Gate {
  #taken = 0;
  #waiting = 0;
  #turn = 0;
  /** Those inside or in line. */
  readonly #clients = new Map<string, Client>();

  constructor(
    readonly places: number,
    readonly share = places,
  ) {}

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Waits for a place; returns the function that gives it back (once). Throws the signal's reason when aborted first. */
  async enter(signal?: AbortSignal, name = ""): Promise<() => void> {
    signal?.throwIfAborted();
    // a newcomer comes before whoever was let in last, but not before those who wait longer
    const client = this.#clients.get(name) ?? {
      taken: 0,
      turn: this.#turn - 0.5,
      share: name === "" ? this.places : this.share,
      line: new Set(),
    };
    this.#clients.set(name, client);
    if (this.#taken < this.places && client.taken < client.share) this.#take(client);
    else await this.#wait(client, name, signal);
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#taken--;
      client.taken--;
      this.#forget(name, client);
      this.#admit();
    };
  }

  #take(client: Client): void {
    this.#taken++;
    client.taken++;
    client.turn = ++this.#turn;
  }

  #forget(name: string, client: Client): void {
    if (client.taken === 0 && client.line.size === 0 && this.#clients.get(name) === client) this.#clients.delete(name);
  }

  /** Lets in who is next, as long as there are places. */
  #admit(): void {
    while (this.#taken < this.places) {
      let next: Client | undefined;
      for (const client of this.#clients.values())
        if (client.line.size > 0 && client.taken < client.share && (next === undefined || comesBefore(client, next)))
          next = client;
      if (next === undefined) return;
      this.#take(next);
      for (const enter of next.line) {
        next.line.delete(enter);
        enter();
        break;
      }
    }
  }

  #wait(client: Client, name: string, signal: AbortSignal | undefined): Promise<void> {
    this.#waiting++;
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        this.#waiting--;
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting--;
        client.line.delete(enter);
        this.#forget(name, client);
        reject(signal?.reason as Error);
      };
      client.line.add(enter);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }
}

const comesBefore = (a: Client, b: Client): boolean => (a.taken === b.taken ? a.turn < b.turn : a.taken < b.taken);
