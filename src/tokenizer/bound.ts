/** How much text one token can stand for: what lets a text be called too long without cutting it into tokens. */
import { BYTE_CHARS, bytesOfToken } from "./byteLevel.ts";
import type { CheckedAddedToken, CheckedTokenizer } from "./check.ts";
import { normalizerOf } from "./stages.ts";

interface Step {
  type?: unknown;
  normalizers?: unknown;
  pretokenizers?: unknown;
  behavior?: unknown;
}

/** How many bytes of a text may become one byte, at most: canonical forms shrink U+212A to K (3) and then compose (3), compatibility forms 𝐀 to A (4). */
const SHRINKS: Record<string, number> = { NFC: 9, NFD: 3, NFKC: 12, NFKD: 4, Lowercase: 3, ByteLevel: 1, Prepend: 1 };

/**
 * Most UTF-8 bytes of a text that one token can stand for, so that n bytes are at least n / this many tokens. Infinity where text may
 * vanish: a normalizer that strips or replaces, cuts that drop what they match, a byte without a token.
 */
export function bytesPerToken(json: CheckedTokenizer, added: readonly CheckedAddedToken[]): number {
  const { vocab } = json.model;
  const whole = BYTE_CHARS.every((char) => Object.hasOwn(vocab, char));
  const swallows = added.some((token) => token.lstrip || token.rstrip);
  const shrink = shrinkOf(json.normalizer);
  if (!whole || swallows || shrink === Infinity || !isByteLevel(json.pre_tokenizer) || !keepsAll(json.pre_tokenizer))
    return Infinity;
  let longest = 1;
  for (const token of Object.keys(vocab)) longest = Math.max(longest, bytesOfToken(token)?.length ?? 0);
  const normalize = normalizerOf(json.normalizer);
  for (const token of added)
    for (const text of [token.content, normalize?.(token.content) ?? ""])
      if (text.length * 3 > longest) longest = Math.max(longest, utf8Bytes(text));
  return longest * shrink;
}

function shrinkOf(normalizer: Step | null): number {
  if (normalizer === null) return 1;
  if (normalizer.type === "Sequence")
    return Array.isArray(normalizer.normalizers)
      ? normalizer.normalizers.reduce<number>((shrink, step: Step) => shrink * shrinkOf(step), 1)
      : Infinity;
  const name = String(normalizer.type);
  return Object.hasOwn(SHRINKS, name) ? (SHRINKS[name] ?? Infinity) : Infinity;
}

/** Whether the pieces of a cut, put together, are the text. */
function keepsAll(step: Step | null): boolean {
  if (step?.type === "Sequence")
    return Array.isArray(step.pretokenizers) && step.pretokenizers.every((part: Step) => keepsAll(part));
  if (step?.type === "Split" || step?.type === "Punctuation") return step.behavior !== "Removed";
  return step?.type === "ByteLevel" || step?.type === "Digits";
}

/** Whether text is cut into bytes, of which each has a token, before merging. */
const isByteLevel = (step: Step | null): boolean =>
  step?.type === "ByteLevel" ||
  (step?.type === "Sequence" &&
    Array.isArray(step.pretokenizers) &&
    step.pretokenizers.some((part: Step) => isByteLevel(part)));

/** Bytes of a text of whole characters in UTF-8. */
function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // of a pair, the halves have two each
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return bytes;
}
