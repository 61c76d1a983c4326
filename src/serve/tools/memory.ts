/** Calls that a server's models made, kept as they were drawn, so that a history that holds them is read as it was written. */
import type { ToolCall } from "./format.ts";

/** An answer with calls. */
export interface DrawnCalls {
  readonly content: string;
  readonly calls: readonly ToolCall[];
  readonly ids: readonly number[];
}

/** Most ids that are kept, of all answers together. */
const MOST_IDS = 2 ** 20;

/** Answers with calls by the id of their first call. The oldest are forgotten. */
export class CallMemory {
  readonly #answers = new Map<string, DrawnCalls>();
  #ids = 0;

  remember(answer: DrawnCalls): void {
    const [first] = answer.calls;
    if (first === undefined) return;
    this.#answers.set(first.id, answer);
    this.#ids += answer.ids.length;
    for (const [id, { ids }] of this.#answers) {
      if (this.#ids <= MOST_IDS) return;
      this.#answers.delete(id);
      this.#ids -= ids.length;
    }
  }

  /** The ids that a message of the history was drawn as; undefined where it is not known, or was changed. */
  find(content: string, calls: readonly ToolCall[]): readonly number[] | undefined {
    const known = this.#answers.get(calls[0]?.id ?? "");
    if (known === undefined || known.content !== content || known.calls.length !== calls.length) return undefined;
    const same = known.calls.every((call, i) => {
      const other = calls[i];
      return call.id === other?.id && call.name === other.name && call.arguments === other.arguments;
    });
    return same ? known.ids : undefined;
  }
}
