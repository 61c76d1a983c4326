/** Tokens as a server shows them: their bytes and their text. */
import type { Tokenizer } from "../tokenizer/index.ts";

/** A token decoder for text that comes token by token: what it cannot show yet (half a character) it keeps back. */
export interface TextStream {
  push(id: number): string;
  flush(): string;
}

/** What serving needs of a tokenizer. */
export type ServeTokenizer = Pick<
  Tokenizer,
  "vocabSize" | "bosId" | "eosIds" | "surrounding" | "encode" | "encodeChat" | "decode" | "bytesOf" | "idOf"
> & {
  stream(options?: { skipSpecial?: boolean }): TextStream;
  /** What is not known here may be asked of the encoder. */
  chatTemplate?: string;
  /** Most bytes of text that one token stands for; absent where nobody can say. */
  bytesPerToken?: number;
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of a token; none for an id that only pads the model's vocabulary. */
export function tokenBytes(tokenizer: ServeTokenizer, id: number): Uint8Array {
  return id < tokenizer.vocabSize ? tokenizer.bytesOf(id) : new Uint8Array();
}

/** A token's text; undefined for one that is not whole characters. */
export function wholeText(tokenizer: ServeTokenizer, id: number): string | undefined {
  try {
    return utf8.decode(tokenBytes(tokenizer, id));
  } catch {
    return undefined;
  }
}

/** A token as text on its own: `bytes:\xe2\x82` when it is not whole characters, as OpenAI writes it. */
export function tokenText(tokenizer: ServeTokenizer, id: number): string {
  const hex = (): string =>
    Array.from(tokenBytes(tokenizer, id), (b) => `\\x${b.toString(16).padStart(2, "0")}`).join("");
  return wholeText(tokenizer, id) ?? `bytes:${hex()}`;
}
