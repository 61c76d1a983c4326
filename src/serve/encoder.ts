/** What turns people's text into ids for a server, and the one that does it in this thread. */
import type { ChatMessage, ChatTemplateOptions } from "../tokenizer/index.ts";
import type { ServeTokenizer } from "./tokens.ts";

/** Ids of a text. Of one that is too long to be used only the first may be there; `count` is of all, or of those that there are at least. */
export interface Encoded {
  ids: number[];
  count: number;
}

export interface EncodedPrompt extends Encoded {
  /** The model goes on in a thought. */
  opensThought: boolean;
}

/**
 * Makes ids of what people wrote. Somebody else's template and expressions do it: it takes its time, and throws SumbiError where they
 * refuse a text or do not end. Clients take turns.
 */
export interface Encoder {
  /** A conversation by the model's template, of which only its own control tokens become such. */
  chat(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    signal?: AbortSignal,
    client?: string,
  ): Promise<EncodedPrompt>;
  /** Texts to go on with, as they are: the text of a control token is that token, unless `special` is false. Nothing is put around them. */
  texts(
    texts: readonly string[],
    signal?: AbortSignal,
    client?: string,
    options?: { special?: boolean },
  ): Promise<Encoded[]>;
  close(): Promise<void>;
}

/** Encodes where it is called: for tokenizers of one's own, and in a browser. */
export const localEncoder = (tokenizer: Pick<ServeTokenizer, "encode" | "encodeChat">): Encoder => {
  const counted = (ids: number[]): Encoded => ({ ids, count: ids.length });
  return {
    chat: async (messages, options) => {
      const { ids, least, opensThought } = tokenizer.encodeChat(messages, options);
      return { ids, count: least ?? ids.length, opensThought };
    },
    texts: async (texts, _signal, _client, options) => texts.map((text) => counted(tokenizer.encode(text, options))),
    close: async () => undefined,
  };
};
