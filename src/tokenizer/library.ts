/** What is used of @huggingface/tokenizers, with types. */
import * as library from "@huggingface/tokenizers";

/** What is used of @huggingface/tokenizers; it exports these types in a form that TypeScript cannot find. */
interface Parts {
  /** Byte-pair merges. A word that no token spells comes out in part or not at all, as in Hugging Face's own. */
  BPE: new (
    model: object,
  ) => { encode(words: string[]): string[]; tokens_to_ids: ReadonlyMap<string, number> };
  /** `pattern` is the rule's, translated from Oniguruma. */
  SplitPreTokenizer: new (
    rule: object,
  ) => { pattern: RegExp | null };
  ReplaceNormalizer: new (rule: object) => { pattern: RegExp | null };
}

export const { BPE, SplitPreTokenizer, ReplaceNormalizer } = library as unknown as Parts;
export type BPE = InstanceType<Parts["BPE"]>;
