/** Tokenizers: byte-level BPE trained, any tokenizer.json run, chats encoded. */
export { BYTE_CHARS } from "./byteLevel.ts";
export { CHAT_TEMPLATE } from "./chatTemplate.ts";
export type { DigitGroup } from "./rules.ts";
export * from "./special.ts";
export { DecodeStream } from "./stream.ts";
export { type ChatMessage, type ChatTemplateOptions, type EncodedChat, type Prefill, Tokenizer } from "./tokenizer.ts";
export { type TokenizerJson, type TrainedTokenizer, type TrainTokenizerOptions, trainTokenizer } from "./train.ts";
export type { WrittenPart } from "./written.ts";
