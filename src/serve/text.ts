/** Text that comes in pieces: stop strings found, thoughts split off. */

/**
 * Finds stop strings in text that comes in pieces. What it lets out never holds a stop string nor the beginning of one
 * that may still complete. The first to complete wins (among those, the longest), however the text was cut.
 */
export class StopMatcher {
  #held = "";
  #found: string | undefined;

  constructor(readonly stops: readonly string[]) {}

  get stopped(): boolean {
    return this.#found !== undefined;
  }

  /** The stop string that completed. */
  get found(): string | undefined {
    return this.#found;
  }

  /** Characters kept back because a stop string may begin there. */
  get heldLength(): number {
    return this.#held.length;
  }

  /** Takes a piece, returns what is safe to show. */
  push(piece: string): string {
    if (this.stopped) return "";
    const text = this.#held + piece;
    let from = -1;
    let end = Infinity;
    let found: string | undefined;
    for (const stop of this.stops) {
      const at = text.indexOf(stop);
      if (at < 0) continue;
      if (at + stop.length < end || (at + stop.length === end && at < from)) {
        from = at;
        end = at + stop.length;
        found = stop;
      }
    }
    if (from >= 0) {
      this.#found = found;
      this.#held = "";
      return text.slice(0, from);
    }
    const keep = Math.max(0, ...this.stops.map((stop) => overlap(text, stop)));
    this.#held = text.slice(text.length - keep);
    return text.slice(0, text.length - keep);
  }

  /** The end of the text: what was kept back turned out to be ordinary text. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }
}

/** Length of the longest end of `text` that is a proper beginning of `word`. */
export function overlap(text: string, word: string): number {
  for (let n = Math.min(text.length, word.length - 1); n > 0; n--) if (text.endsWith(word.slice(0, n))) return n;
  return 0;
}

export const THINK_OPEN = "<think>";
export const THINK_CLOSE = "</think>";

/** A whole answer's thought, if it begins with one, and what follows; without `answer` the thought is left open. */
export function splitThought(text: string): { thought?: string; answer?: string } {
  if (!text.startsWith(THINK_OPEN)) return { answer: text };
  const close = text.indexOf(THINK_CLOSE);
  if (close < 0) return { thought: text.slice(THINK_OPEN.length) };
  return { thought: text.slice(THINK_OPEN.length, close), answer: text.slice(close + THINK_CLOSE.length) };
}

export interface Split {
  reasoning: string;
  content: string;
}

/**
 * Splits a reasoning model's text, which comes in pieces, into thoughts and answer. Thoughts stand between the tags at
 * the very beginning (the opening tag may stand in the prompt already: `inThought`; a lone closing tag there says that there
 * is no thought, as DeepSeek-V3.1 writes it); the white space around them is dropped.
 */
export class ReasoningSplit {
  #state: "start" | "thought" | "gap" | "content";
  #held = "";
  #begun = false;

  constructor(options: { inThought?: boolean } = {}) {
    this.#state = options.inThought ? "thought" : "start";
  }

  /** Whether the answer itself has begun. */
  get answers(): boolean {
    return this.#state === "content";
  }

  get inThought(): boolean {
    return this.#state === "thought";
  }

  push(piece: string): Split {
    const out: Split = { reasoning: "", content: "" };
    this.#held += piece;
    if (this.#state === "start") {
      const text = this.#held.trimStart();
      if (text.startsWith(THINK_OPEN)) {
        this.#state = "thought";
        this.#held = text.slice(THINK_OPEN.length);
      } else if (text.startsWith(THINK_CLOSE)) {
        this.#state = "gap";
        this.#held = text.slice(THINK_CLOSE.length);
      } else if (!THINK_OPEN.startsWith(text) && !THINK_CLOSE.startsWith(text)) this.#state = "content";
      else return out;
    }
    if (this.#state === "thought") {
      const end = this.#held.indexOf(THINK_CLOSE);
      if (end >= 0) {
        out.reasoning = this.#thought(this.#held.slice(0, end).trimEnd());
        this.#held = this.#held.slice(end + THINK_CLOSE.length);
        this.#state = "gap";
      } else {
        const shown = this.#held.slice(0, this.#held.length - overlap(this.#held, THINK_CLOSE)).trimEnd();
        out.reasoning = this.#thought(shown);
        this.#held = this.#held.slice(shown.length);
        return out;
      }
    }
    if (this.#state === "gap") {
      this.#held = this.#held.trimStart();
      if (this.#held === "") return out;
      this.#state = "content";
    }
    out.content = this.#held;
    this.#held = "";
    return out;
  }

  /** The end of the text: lets out what was kept back. */
  flush(): Split {
    const held = this.#held;
    this.#held = "";
    if (this.#state === "thought") return { reasoning: this.#thought(held), content: "" };
    return { reasoning: "", content: this.#state === "gap" ? "" : held };
  }

  #thought(text: string): string {
    const shown = this.#begun ? text : text.trimStart();
    if (shown !== "") this.#begun = true;
    return shown;
  }
}
