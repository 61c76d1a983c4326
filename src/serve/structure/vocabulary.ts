/** A tokenizer's tokens as grammars read them. */
import { BYTE_CHARS, type Tokenizer } from "../../tokenizer/index.ts";
import { STAND_INS } from "./marks.ts";
import type { Vocabulary } from "./xgrammar.ts";

/**
 * Control tokens, and ids that only pad the model's vocabulary, are of no text: no grammar lets them come. But for `marks`, which are read as their stand-ins; and
 * tokens with a stand-in's own byte are none then.
 */
export function vocabularyOf(tokenizer: Tokenizer, vocabSize: number, marks: readonly string[] = []): Vocabulary {
  const chars = (id: number): string => Array.from(tokenizer.bytesOf(id), (byte) => BYTE_CHARS[byte] ?? "").join("");
  const standIns = marks.flatMap((mark, i) => {
    const id = tokenizer.idOf(mark);
    return id === undefined ? [] : [[id, BYTE_CHARS[STAND_INS.charCodeAt(i)] ?? ""] as const];
  });
  const byId = new Map(standIns);
  const taken = [...byId.values()];
  const tokens = Array.from({ length: vocabSize }, (_, id) => {
    const standIn = byId.get(id);
    if (standIn !== undefined) return standIn;
    if (id >= tokenizer.vocabSize || tokenizer.isControl(id)) return "";
    const text = chars(id);
    return taken.some((one) => text.includes(one)) ? "" : text;
  });
  return { tokens, bytes: "byte_level", stopIds: tokenizer.eosIds, marks: [...byId.keys()] };
}
