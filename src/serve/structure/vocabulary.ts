/** A tokenizer's tokens as grammars read them. */
import { BYTE_CHARS, type Tokenizer } from "../../tokenizer/index.ts";
import type { Vocabulary } from "./xgrammar.ts";

/** Control tokens, and ids that only pad the model's vocabulary, are of no text: no grammar lets them come. */
export function vocabularyOf(tokenizer: Tokenizer, vocabSize: number): Vocabulary {
  const tokens = Array.from({ length: vocabSize }, (_, id) =>
    id >= tokenizer.vocabSize || tokenizer.isControl(id)
      ? ""
      : Array.from(tokenizer.bytesOf(id), (byte) => BYTE_CHARS[byte] ?? "").join(""),
  );
  return { tokens, bytes: "byte_level", stopIds: tokenizer.eosIds };
}
