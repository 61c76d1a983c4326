/** An answer as parts that are opened, grow and are closed: a thought, text, calls. What doors with named events stream. */
import { CachedTokens } from "./served.ts";
import type { FinishReason, Piece, WrittenToken } from "./write.ts";

export interface Part {
  kind: "thought" | "text" | "call";
  /** Among the answer's parts. */
  index: number;
  /** All of it so far; of a call its arguments, JSON. */
  text: string;
  call?: { id: string; name: string };
  tokens: WrittenToken[];
}

export type PartEvent =
  | { type: "open" | "close"; part: Part }
  /** `text` has come, with `tokens`. */
  | { type: "more"; part: Part; text: string; tokens: readonly WrittenToken[] };

/** What an answer came to. */
export class Tally {
  readonly cached = new CachedTokens();
  readonly parts: Part[] = [];
  drawn = 0;
  reasoning = 0;
  finish: FinishReason | undefined;
  /** The text that it was stopped by. */
  stop: string | undefined;

  see(piece: Piece): void {
    this.drawn += piece.drawn;
    this.reasoning += piece.tokens.filter(({ thought }) => thought).length;
    this.cached.see(0, piece.tokens);
    this.finish = piece.finish ?? this.finish;
    this.stop = piece.stop ?? this.stop;
  }
}

/** The parts of an answer, told as they come and counted in `tally`. `hidden`: without thoughts. An answer without any has one empty text. */
export async function* partsOf(
  pieces: AsyncIterable<Piece>,
  tally: Tally,
  hidden: boolean,
): AsyncGenerator<PartEvent, void> {
  let part: Part | undefined;
  const { parts } = tally;
  function* begin(kind: Part["kind"], call?: Part["call"]): Generator<PartEvent> {
    if (part) yield { type: "close", part };
    part = { kind, index: parts.length, text: "", tokens: [], ...(call ? { call } : {}) };
    parts.push(part);
    yield { type: "open", part };
  }
  function* grow(text: string, tokens: readonly WrittenToken[]): Generator<PartEvent> {
    if (part === undefined || (text === "" && tokens.length === 0)) return;
    part.text += text;
    part.tokens.push(...tokens);
    yield { type: "more", part, text, tokens };
  }
  for await (const piece of pieces) {
    tally.see(piece);
    const of = (thought: boolean) => piece.tokens.filter((token) => token.thought === thought && !token.call);
    if (piece.reasoning !== "" && !hidden) {
      if (part?.kind !== "thought") yield* begin("thought");
      yield* grow(piece.reasoning, of(true));
    }
    if (piece.content !== "") {
      if (part?.kind !== "text") yield* begin("text");
      yield* grow(piece.content, of(false));
    }
    for (const { id, name = "", arguments: text } of piece.calls) {
      if (id !== undefined) yield* begin("call", { id, name });
      yield* grow(text, []);
    }
  }
  if (parts.length === 0 && tally.finish === "stop") yield* begin("text");
  if (part) yield { type: "close", part };
}
