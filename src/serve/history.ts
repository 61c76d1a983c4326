/** What a chat keeps of a conversation that has become longer than the model's context. */

/** Messages that fit, in their order, and how many were left out. */
export interface Kept<Message> {
  messages: readonly Message[];
  dropped: number;
}

/**
 * Tokens that a chat keeps free for an answer, thoughts included, where the request does not say how long it may be: a quarter of the
 * context, at most 4,096; of short contexts up to half, so that 256 are left if that can be.
 */
export function answerRoom(contextTokens: number): number {
  return Math.floor(Math.max(Math.min(256, contextTokens / 2), Math.min(4096, contextTokens / 4)));
}

/**
 * Leaves out the oldest turns until `fits`: a turn is a question and all that follows it up to the next. System messages and the last
 * turn stay; if they do not fit either, they alone are kept. Asks `fits` about ⌈log₂ turns⌉ + 1 times.
 */
export async function keepNewest<Message extends { role: string }>(
  messages: readonly Message[],
  fits: (messages: readonly Message[]) => boolean | Promise<boolean>,
): Promise<Kept<Message>> {
  const isSystem = ({ role }: Message): boolean => role === "system" || role === "developer";
  const starts: number[] = [];
  let answered = true;
  for (const [i, message] of messages.entries()) {
    if (isSystem(message)) continue;
    if (message.role === "user" && answered) starts.push(i);
    answered = message.role !== "user";
  }
  const from = (turn: number): readonly Message[] =>
    messages.filter((message, i) => i >= (starts[turn] ?? 0) || isSystem(message));
  if (starts.length < 2 || (await fits(messages))) return { messages, dropped: 0 };
  let low = 1;
  let high = starts.length - 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await fits(from(middle))) high = middle;
    else low = middle + 1;
  }
  const kept = from(low);
  return { messages: kept, dropped: messages.length - kept.length };
}
