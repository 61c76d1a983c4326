/** Generated tokens written as text: stop strings, thoughts apart, half characters kept back. */
import type { GeneratedToken } from "../infer/index.ts";
import { ReasoningSplit, StopMatcher, THINK_CLOSE, THINK_OPEN } from "./text.ts";
import type { ServeTokenizer } from "./tokens.ts";

export type FinishReason = "stop" | "length";

/** Some text that is safe to show, with the tokens that came with it. */
export interface Piece {
  content: string;
  reasoning: string;
  tokens: WrittenToken[];
  /** How many tokens were drawn for it, those of a stop string too. */
  drawn: number;
  /** On the last piece only. */
  finish?: FinishReason;
}

export interface WrittenToken extends GeneratedToken {
  /** Where its text begins among the characters (UTF-16) searched for stop strings. */
  offset: number;
  /** Whether it belongs to the thoughts. */
  thought: boolean;
}

export interface WriteOptions {
  /** Text that ends the answer; it is not shown. Never looked for in thoughts. */
  stop: readonly string[];
  /** Takes thoughts out of the text. */
  split?: { inThought: boolean };
}

/**
 * Turns a stream of tokens into pieces of text: whole characters only, cut at the first stop string, thoughts apart.
 * A stop string ends the token stream (its `return` is called). The end-of-text token is counted but has no text.
 */
export async function* writeText(
  tokens: AsyncIterable<GeneratedToken>,
  tokenizer: ServeTokenizer,
  options: WriteOptions,
): AsyncGenerator<Piece, void> {
  const stream = tokenizer.stream({ skipSpecial: true });
  const matcher = new StopMatcher(options.stop.filter((s) => s !== ""));
  const splitter = options.split ? new ReasoningSplit(options.split) : undefined;
  const tags = new Map([THINK_OPEN, THINK_CLOSE].map((tag) => [tokenizer.idOf(tag), tag]));
  let waiting: WrittenToken[] = [];
  let drawn = 0;
  /** Characters given to the matcher, and let out by it. */
  let seen = 0;
  let shown = 0;

  const take = (text: string, last: boolean): Piece => {
    const parts = splitter ? splitter.push(text) : { reasoning: "", content: text };
    if (last && splitter) {
      const rest = splitter.flush();
      parts.reasoning += rest.reasoning;
      parts.content += rest.content;
    }
    seen += parts.content.length;
    let content = matcher.push(parts.content);
    if (last) content += matcher.flush();
    shown += content.length;
    const free = !matcher.stopped && matcher.heldLength === 0;
    if (splitter?.inThought && waiting.length > 0) waiting[waiting.length - 1]!.thought = true;
    const tokens = waiting.filter((t) => free || t.thought || t.offset < shown);
    waiting = waiting.filter((t) => !tokens.includes(t));
    const count = drawn;
    drawn = 0;
    return { content, reasoning: parts.reasoning, tokens, drawn: count };
  };

  for await (const token of tokens) {
    const ended = token.finish === "stop";
    drawn++;
    const tag = splitter && tags.get(token.id);
    // a tag before the answer is no part of it, whatever it opens or closes
    const thought = splitter !== undefined && (splitter.inThought || (tag !== undefined && !splitter.answers));
    waiting.push({ ...token, offset: seen, thought });
    let text =
      ended || token.id >= tokenizer.vocabSize ? "" : tag !== undefined ? stream.flush() + tag : stream.push(token.id);
    if (token.finish) text += stream.flush();
    const piece = take(text, token.finish !== undefined);
    if (matcher.stopped) {
      yield { ...piece, finish: "stop" };
      return;
    }
    if (token.finish) {
      yield { ...piece, finish: token.finish };
      return;
    }
    if (piece.content !== "" || piece.reasoning !== "" || piece.tokens.length > 0) yield piece;
    else drawn += piece.drawn;
  }
  yield { ...take(stream.flush(), true), finish: "length" };
}
