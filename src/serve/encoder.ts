import type { ChatMessage, ChatTemplateOptions, EncodedChat } from "../tokenizer/index.ts";
import type { ServeTokenizer } from "./tokens.ts";

/** Makes ids of what people wrote. Somebody else's template and expressions do it: it may throw SumbiError and take its time. */
export interface Encoder {
  /** A conversation by the model's template, of which only its own control tokens become such. */
  chat(messages: readonly ChatMessage[], options: ChatTemplateOptions, signal?: AbortSignal): Promise<Pick<EncodedChat, "ids" | "opensThought">>;
  /** Texts to go on with, as they are: the text of a control token is that token. Nothing is put around them. */
  texts(texts: readonly string[], signal?: AbortSignal): Promise<number[][]>;
  close(): Promise<void>;
}

/** Encodes where it is called: for tokenizers of one's own, and in a browser. */
export const localEncoder = (tokenizer: Pick<ServeTokenizer, "encode" | "encodeChat">): Encoder => ({
  chat: async (messages, options) => tokenizer.encodeChat(messages, options),
  texts: async (texts) => texts.map((text) => tokenizer.encode(text)),
  close: async () => undefined,
});
