/** Responses that may be gone on with, as many as fit in so much memory; the oldest are forgotten. */
import type { Item } from "./schema.ts";

/** An item of an answer. */
export type OutputItem = Item & { id: string };

export interface StoredResponse {
  /** The response object. */
  response: { id: string; output: readonly OutputItem[] };
  /** All that was said: by earlier responses, in the request, and in the answer. */
  items: readonly Item[];
}

export class ResponseMemory {
  readonly #of = new Map<string, { stored: StoredResponse; chars: number }>();
  readonly #items = new Map<string, OutputItem>();
  #chars = 0;

  constructor(readonly mostChars = 2 ** 25) {}

  put(stored: StoredResponse): void {
    // what responses of one conversation share is counted in each
    const chars = JSON.stringify(stored).length;
    if (chars > this.mostChars) return;
    this.#of.set(stored.response.id, { stored, chars });
    this.#chars += chars;
    for (const item of stored.response.output) this.#items.set(item.id, item);
    for (const id of this.#of.keys()) {
      if (this.#chars <= this.mostChars) return;
      this.delete(id);
    }
  }

  get(id: string): StoredResponse | undefined {
    return this.#of.get(id)?.stored;
  }

  /** An item of a stored response's output. */
  item(id: string): OutputItem | undefined {
    return this.#items.get(id);
  }

  /** Whether it was there. */
  delete(id: string): boolean {
    const found = this.#of.get(id);
    if (found === undefined) return false;
    this.#of.delete(id);
    this.#chars -= found.chars;
    for (const item of found.stored.response.output) this.#items.delete(item.id);
    return true;
  }
}
