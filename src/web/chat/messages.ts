/** What the model reads of a chat. */
import type { ChatMessage } from "../net/api.ts";
import { partsOf } from "./parts.ts";
import { type Step, stepsBefore } from "./tree.ts";
import type { Answer, Attachment, Conversation, Turn } from "./types.ts";

/**
 * The messages that lead up to an answer: thoughts are left out, as R1's own template does, and so are turns without an answer. An answer to
 * be gone on with stands last, as it came, its thought too.
 */
export function messagesFor(
  chat: Conversation,
  turnId: string,
  system: string,
  begun?: Partial<Answer>,
): ChatMessage[] {
  const turn = chat.turns.find(({ id }) => id === turnId);
  const messages = [...history(stepsBefore(chat, turnId), system), question(turn ?? { question: "" })];
  if (begun?.raw || begun?.reasoning)
    messages.push({
      role: "assistant",
      content: begun.raw ?? "",
      ...(begun.reasoning ? { reasoning_content: begun.reasoning } : {}),
    });
  return messages;
}

/** What was said in some turns, after the system prompt. */
export function history(steps: readonly Step[], system: string): ChatMessage[] {
  const messages: ChatMessage[] = system.trim() ? [{ role: "system", content: system }] : [];
  for (const { turn, answer } of steps) {
    const text = answer ? partsOf(answer).text : "";
    if (text.trim()) messages.push(question(turn), { role: "assistant", content: text });
  }
  return messages;
}

/** A question as the model reads it: its files first, each by its name and between fences. */
export const question = ({ question, files = [] }: Pick<Turn, "question" | "files">): ChatMessage => ({
  role: "user",
  content: [...files.map(fenced), question].join("\n\n"),
});

function fenced({ name, text }: Attachment): string {
  const longest = Math.max(2, ...[...text.matchAll(/^`+/gm)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${name}:\n${fence}\n${text}${text.endsWith("\n") ? "" : "\n"}${fence}`;
}
