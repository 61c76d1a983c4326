/** Conversations of many turns made from a seed, small talk and arithmetic mixed. */
import { ARITHMETIC_KINDS, type ArithmeticSplit } from "./arithmetic.ts";
import { Random } from "./random.ts";
import { type ChatDocument, exchange, problem } from "./smalltalk.ts";

/** Characters of a conversation at most: about 1,000 tokens in nano's vocabulary. */
const MAX_CHARS = 1500;

/**
 * Document `index` of a deterministic, endless list of long conversations as a chat makes them: first up to 20 turns that are past (mostly few), their
 * problems without thoughts (read, not trained: the model shall not answer so), then turns with thoughts until it is full or ten more are
 * made. Half of them keep to one kind of problem; now and then there is small talk. Same arguments, same document.
 */
export function conversationDocument(seed: number, index: number, split: ArithmeticSplit = "train"): ChatDocument {
  const random = new Random(seed, index, split === "train" ? 31 : 32);
  const past = Math.min(random.int(0, 20), random.int(0, 20));
  const present = random.int(1, 10);
  const only = random.chance(0.5) ? [random.pick(ARITHMETIC_KINDS)] : undefined;
  const messages: ChatDocument["messages"] = [];
  let chars = 0;
  for (let turn = 0; turn < past + present; turn++) {
    const next = random.chance(0.1)
      ? exchange(random)
      : problem(random, split, only).map((message) => (turn < past ? withoutThought(message) : message));
    chars += next.reduce((sum, message) => sum + message.content.length, 0);
    if (chars > MAX_CHARS) break;
    messages.push(...next);
  }
  return { messages };
}

function withoutThought(message: ChatDocument["messages"][number]): ChatDocument["messages"][number] {
  if (message.role !== "assistant") return message;
  return { ...message, content: message.content.split("</think>").at(-1) ?? "", weight: 0 };
}
