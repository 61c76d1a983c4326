/** Calls of an answer: put together, remembered. */
import type { Piece } from "../write.ts";
import type { CallPiece, ToolCall } from "./format.ts";
import type { CallMemory } from "./memory.ts";

/** Calls put together from their pieces. */
export class CallList {
  readonly #calls: { id: string; name: string; arguments: string }[] = [];

  add(pieces: readonly CallPiece[]): void {
    for (const { index, id, name, arguments: text } of pieces) {
      if (id !== undefined && name !== undefined) this.#calls[index] = { id, name, arguments: "" };
      const call = this.#calls[index];
      if (call) call.arguments += text;
    }
  }

  get all(): readonly ToolCall[] {
    return this.#calls;
  }
}

/** The pieces of an answer, whose calls are remembered as they were drawn when it is whole. */
export async function* remembered(
  pieces: AsyncIterable<Piece>,
  memory: CallMemory | undefined,
): AsyncGenerator<Piece, void> {
  const list = new CallList();
  let content = "";
  for await (const piece of pieces) {
    list.add(piece.calls);
    content += piece.content;
    if (piece.finish === "tool_calls" && piece.answerIds)
      memory?.remember({ content, calls: list.all, ids: piece.answerIds });
    yield piece;
  }
}
