/** An answer as parts that are opened, grow and are closed: a thought, then text. What doors with named events stream. */
import { CachedTokens } from "./served.ts";
import type { FinishReason, Piece, WrittenToken } from "./write.ts";

export interface Part {
  kind: "thought" | "text";
  /** Among the answer's parts. */
  index: number;
  /** All of it so far. */
  text: string;
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
  function* grow(kind: Part["kind"], text: string, tokens: readonly WrittenToken[]): Generator<PartEvent> {
    if (part?.kind !== kind) {
      if (part) yield { type: "close", part };
      part = { kind, index: parts.length, text: "", tokens: [] };
      parts.push(part);
      yield { type: "open", part };
    }
    part.text += text;
    part.tokens.push(...tokens);
    yield { type: "more", part, text, tokens };
  }
  for await (const piece of pieces) {
    tally.see(piece);
    const thoughts = piece.tokens.filter(({ thought }) => thought);
    if (piece.reasoning !== "" && !hidden) yield* grow("thought", piece.reasoning, thoughts);
    if (piece.content !== "")
      yield* grow(
        "text",
        piece.content,
        piece.tokens.filter(({ thought }) => !thought),
      );
  }
  if (parts.length === 0 && tally.finish === "stop") yield* grow("text", "", []);
  if (part) yield { type: "close", part };
}
