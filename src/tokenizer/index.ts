export { Tokenizer, type ChatMessage, type ChatTemplateOptions, type EncodedChat } from "./tokenizer.ts";
export { DecodeStream } from "./stream.ts";
export { trainTokenizer, type TrainedTokenizer, type TrainTokenizerOptions, type TokenizerJson } from "./train.ts";
export { CHAT_TEMPLATE } from "./chatTemplate.ts";
export type { DigitGroup } from "./rules.ts";
export * from "./special.ts";
