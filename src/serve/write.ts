/** Generated tokens written as text: stop strings, thoughts apart, half characters kept back. */
import type { GeneratedToken } from "../infer/index.ts";
import { DrawnText } from "./drawn.ts";
import { ReasoningSplit, StopMatcher, THINK_CLOSE, THINK_OPEN } from "./text.ts";
import type { ServeTokenizer } from "./tokens.ts";
import type { CallPiece } from "./tools/format.ts";
import type { CallReader, Read } from "./tools/reader.ts";

export type FinishReason = "stop" | "length" | "tool_calls";

/** Some text that is safe to show, with the tokens that came with it. */
export interface Piece {
  content: string;
  reasoning: string;
  /** What came of calls, after the text. */
  calls: readonly CallPiece[];
  tokens: WrittenToken[];
  /** How many tokens were drawn for it, those of a stop string too. */
  drawn: number;
  /** On the last piece only. */
  finish?: FinishReason;
  /** With calls, on the last piece: the ids that the answer was drawn as, thoughts and end of text apart; absent where they cannot be told from the thought's. */
  answerIds?: readonly number[];
  /** The stop string that ended the text; on the last piece only. */
  stop?: string;
}

export interface WrittenToken extends GeneratedToken {
  /** Where its text begins among the characters (UTF-16) searched for stop strings. */
  offset: number;
  /** Whether it belongs to the thoughts. */
  thought: boolean;
  /** Whether it belongs to calls. */
  call: boolean;
}

export interface WriteOptions {
  /** Text that ends the answer; it is not shown. Never looked for in thoughts and calls. */
  stop: readonly string[];
  /** Takes thoughts out of the text. */
  split?: { inThought: boolean };
  /** Takes calls of tools out of the answer. */
  calls?: CallReader;
}

/**
 * Turns a stream of tokens into pieces of text: whole characters only, cut at the first stop string, thoughts and calls apart.
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
  const reader = options.calls;
  const tags = new Map([THINK_OPEN, THINK_CLOSE].map((tag) => [tokenizer.idOf(tag), tag]));
  const answer = reader && new DrawnText();
  let waiting: WrittenToken[] = [];
  let drawn = 0;
  let called = false;
  /** Characters of the answer that have come, and of those that are settled: shown, or a call's. */
  let seen = 0;
  let settled = 0;

  const take = (text: string, last?: "stop" | "length"): Piece => {
    const parts = splitter ? splitter.push(text) : { reasoning: "", content: text };
    if (last && splitter) {
      const rest = splitter.flush();
      parts.reasoning += rest.reasoning;
      parts.content += rest.content;
    }
    if (reader) parts.reasoning = reader.markup.spelled(parts.reasoning);
    seen += parts.content.length;
    answer?.see(parts.content.length);
    const read = reader ? readCalls(reader, parts.content, last) : { text: parts.content, calls: [] };
    let content = matcher.push(read.text);
    if (last || read.calls.length > 0) content += matcher.flush();
    const calls = matcher.stopped ? [] : read.calls;
    called ||= calls.length > 0;
    settled = matcher.stopped ? settled + content.length : seen - (reader?.held ?? 0) - matcher.heldLength;
    const free = !matcher.stopped && settled === seen;
    if (splitter?.inThought && waiting.length > 0) waiting[waiting.length - 1]!.thought = true;
    const tokens = waiting.filter((t) => free || t.thought || t.offset < settled);
    waiting = waiting.filter((t) => !tokens.includes(t));
    // the end of text belongs to what it ends
    if (reader)
      for (const token of tokens)
        token.call = !token.thought && reader.isCall(token.finish === "stop" ? token.offset - 1 : token.offset);
    const count = drawn;
    drawn = 0;
    return { content, reasoning: parts.reasoning, calls, tokens, drawn: count };
  };
  const finished = (piece: Piece, finish: "stop" | "length"): Piece => ({
    ...piece,
    finish: finish === "stop" && called ? "tool_calls" : finish,
    ...(called ? { answerIds: answer?.ids } : {}),
  });

  for await (const token of tokens) {
    const ended = token.finish === "stop";
    drawn++;
    const tag = (splitter && tags.get(token.id)) ?? reader?.markup.units.get(token.id);
    // a tag before the answer is no part of it, whatever it opens or closes
    const thought = splitter !== undefined && (splitter.inThought || (tags.has(token.id) && !splitter.answers));
    waiting.push({ ...token, offset: seen, thought, call: false });
    let text =
      ended || token.id >= tokenizer.vocabSize ? "" : tag !== undefined ? stream.flush() + tag : stream.push(token.id);
    if (!ended) answer?.push(token.id, text.length);
    if (token.finish) text += stream.flush();
    const piece = take(text, token.finish);
    if (matcher.stopped) {
      yield { ...finished(piece, "stop"), stop: matcher.found };
      return;
    }
    if (token.finish) {
      yield finished(piece, token.finish);
      return;
    }
    if (piece.content !== "" || piece.reasoning !== "" || piece.calls.length > 0 || piece.tokens.length > 0)
      yield piece;
    else drawn += piece.drawn;
  }
  yield finished(take(stream.flush(), "length"), "length");
}

function readCalls(reader: CallReader, text: string, last: "stop" | "length" | undefined): Read {
  const read = reader.push(text);
  if (last === undefined) return read;
  const rest = reader.flush(last === "length");
  return { text: read.text + rest.text, calls: [...read.calls, ...rest.calls] };
}
