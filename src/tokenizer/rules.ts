/** How the tokenizers that Sumbi trains cut text before merging: DeepSeek-V3's expressions. */
import { ConfigError } from "../errors.ts";

/** How many digits may share a token: 3 as in DeepSeek-V3, 1 so that small models can learn arithmetic. */
export type DigitGroup = 1 | 3;

/**
 * The expressions by which DeepSeek-V3 cuts text before merging (tokenizer.json of deepseek-ai/DeepSeek-V3),
 * applied one after the other, each match a piece of its own: digits, CJK runs, then words and the rest.
 */
function splitPatterns(digits: DigitGroup): string[] {
  if (digits !== 1 && digits !== 3) throw new ConfigError(`tokenizer: expected digits 1 or 3, got ${String(digits)}`);
  const punctuationWord = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+";
  const word = "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+";
  const symbols = " ?[\\p{P}\\p{S}]+[\r\n]*";
  const lines = "\\s*[\r\n]+";
  const spaces = "\\s+(?!\\S)|\\s+";
  return [
    digits === 3 ? "\\p{N}{1,3}" : "\\p{N}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    [punctuationWord, word, symbols, lines, spaces].join("|"),
  ];
}

/** The `pre_tokenizer` entry of tokenizer.json. */
export function preTokenizerJson(digits: DigitGroup): object {
  const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return { type: "Sequence", pretokenizers: [...splitPatterns(digits).map(split), bytes] };
}

/**
 * The same cut as one function for the trainer: text -> pieces, whose concatenation is the text.
 * `\s` of the original means Unicode's White_Space (JavaScript's own `\s` differs in U+0085 and U+FEFF).
 */
export function preTokenize(digits: DigitGroup): (text: string) => string[] {
  const [number, cjk, rest] = splitPatterns(digits).map(
    (pattern) => new RegExp(pattern.replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}"), "gu"),
  );
  return (text) => {
    let pieces = [text];
    for (const pattern of [number, cjk, rest]) {
      const next: string[] = [];
      for (const piece of pieces) isolate(piece, pattern!, next);
      pieces = next;
    }
    return pieces;
  };
}

function isolate(text: string, pattern: RegExp, out: string[]): void {
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0] === "") continue;
    if (match.index > at) out.push(text.slice(at, match.index));
    out.push(match[0]);
    at = match.index + match[0].length;
  }
  if (at < text.length) out.push(text.slice(at));
}
