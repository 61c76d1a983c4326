/** DeepSeek's special tokens, as Sumbi's tokenizers have them. */

/** One token that is never cut or merged. `special` ones vanish when decoding with `skipSpecial`. */
export interface AddedToken {
  content: string;
  special: boolean;
}

export const BOS = "<｜begin▁of▁sentence｜>";
export const EOS = "<｜end▁of▁sentence｜>";
export const PAD = "<｜▁pad▁｜>";
export const USER = "<｜User｜>";
export const ASSISTANT = "<｜Assistant｜>";
export const THINK = "<think>";
export const END_THINK = "</think>";
const FIM_BEGIN = "<｜fim▁begin｜>";
const FIM_HOLE = "<｜fim▁hole｜>";
const FIM_END = "<｜fim▁end｜>";
export const EOT = "<|EOT|>";

/** V3's layout: three tokens at ids 0, 1 and 2, the others after the last merge. The spelling is DeepSeek's. */
export const FIRST_TOKENS: readonly AddedToken[] = [BOS, EOS, PAD].map((content) => ({ content, special: true }));

/** Thoughts stay visible in decoded text, as with DeepSeek-R1: they are no `special` tokens. */
export const LAST_TOKENS: readonly AddedToken[] = [
  { content: THINK, special: false },
  { content: END_THINK, special: false },
  { content: FIM_HOLE, special: true },
  { content: FIM_BEGIN, special: true },
  { content: FIM_END, special: true },
  { content: USER, special: true },
  { content: ASSISTANT, special: true },
  { content: EOT, special: true },
];
