/** Conversations to fine-tune on: what the assistant says is trained, all else is read. */
import { DataError } from "../errors.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { TrainingMessage } from "./documents.ts";
import { Places } from "./places.ts";

/**
 * A conversation as ids, by the model's chat template, thoughts kept: what the assistant says up to the mark that ends it, and ~id for all that
 * is only read. Replies of weight 0 are read too. One sequence where the template writes each message after those before it; else (one that
 * leaves out earlier thoughts, say) one for each reply, after what the template makes of the messages before. No sequence without a reply.
 * Throws DataError where a reply cannot be told from what stands before it.
 */
export function encodeReplies(messages: readonly TrainingMessage[], tokenizer: Tokenizer): Int32Array[] {
  const replies = messages.flatMap(({ role, weight }, i) => (role === "assistant" && weight !== 0 ? [i] : []));
  const whole = markReplies(messages, replies, tokenizer);
  if (whole !== undefined) return replies.length > 0 ? [whole] : [];
  return replies.map((i) => {
    const alone = markReplies(messages.slice(0, i + 1), [i], tokenizer);
    if (alone === undefined)
      throw new DataError(
        `messages[${i}]: expected a chat template that writes a reply behind what it writes to ask for one; this model's does not, so replies cannot be told from what is only read`,
      );
    return alone;
  });
}

/** The ids of messages, all but some replies as ~id; undefined where the template writes a reply elsewhere than where it is asked for. */
function markReplies(
  messages: readonly TrainingMessage[],
  replies: readonly number[],
  tokenizer: Tokenizer,
): Int32Array | undefined {
  const { ids, text } = tokenizer.encodeChat(messages, { keepThoughts: true });
  const places = new Places(ids, text, tokenizer);
  const { eosIds } = tokenizer;
  const marked = Int32Array.from(ids, (id) => ~id);
  for (const i of replies) {
    const asked = { keepThoughts: true, addGenerationPrompt: true };
    const from = places.after(tokenizer.applyChatTemplate(messages.slice(0, i), asked));
    const end =
      i + 1 === messages.length
        ? ids.length
        : places.after(tokenizer.applyChatTemplate(messages.slice(0, i + 1), { keepThoughts: true }));
    if (from === undefined || end === undefined) return undefined;
    const stop = ids.findIndex((id, at) => at >= from && at < end && eosIds.includes(id));
    const to = stop < 0 ? end : stop + 1;
    marked.set(ids.slice(from, to), from);
    if (stop >= 0 || end < ids.length || eosIds[0] === undefined) continue;
    return Int32Array.from([...marked, eosIds[0]]);
  }
  return marked;
}
