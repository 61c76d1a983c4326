/** Thoughts split from an answer. */

/** An answer split into what the model thought and what it says. */
export interface Split {
  thought: string;
  text: string;
  /** The thought has begun and not ended. */
  thinking: boolean;
}

const OPEN = "<think>";
const CLOSE = "</think>";

/**
 * Splits raw model text of the form `<think>…</think>answer`, complete or still growing. Only a tag that opens the text
 * counts, so an answer may speak of `<think>` later. A `</think>` without its opening (chat templates that already
 * wrote `<think>` into the prompt) makes everything before it thought. A tag that has only half arrived is held back.
 */
export function splitThought(raw: string, growing = false): Split {
  const body = raw.trimStart();
  if (growing && body.length > 0 && body.length < OPEN.length && OPEN.startsWith(body))
    return { thought: "", text: "", thinking: false };
  const opened = body.startsWith(OPEN);
  const inner = opened ? body.slice(OPEN.length) : body;
  const close = inner.indexOf(CLOSE);
  if (close >= 0 && (opened || !inner.slice(0, close).includes(OPEN))) {
    return {
      thought: inner.slice(0, close).trim(),
      text: inner.slice(close + CLOSE.length).trimStart(),
      thinking: false,
    };
  }
  if (!opened) return { thought: "", text: growing ? withoutPartial(raw, CLOSE) : raw, thinking: false };
  return { thought: (growing ? withoutPartial(inner, CLOSE) : inner).trim(), text: "", thinking: growing };
}

function withoutPartial(text: string, tag: string): string {
  const from = text.lastIndexOf("<");
  return from >= 0 && text.length - from < tag.length && tag.startsWith(text.slice(from)) ? text.slice(0, from) : text;
}
