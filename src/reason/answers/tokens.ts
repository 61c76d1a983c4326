/** The signs, numbers and words that an answer is written in. */

/** It cannot be read as mathematics: two such answers are the same when their letters are. */
export class UnreadableError extends Error {}

/** Longer answers are not read. */
export const LENGTH_MAX = 1000;
const NODES_MAX = 400;

export const FUNCTIONS = new Set("sin cos tan cot sec csc arcsin arccos arctan ln log exp".split(" "));
const GREEK = /^(alpha|beta|gamma|delta|theta|lambda|mu|phi|omega|sigma|rho|tau|epsilon|varepsilon|varphi)$/;
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** Takes away what is only for the eye: dollars around, sizes of brackets, thin spaces, a full stop at the end. Linear in its length. */
export function plain(text: string): string {
  return text
    .replace(/^\s*\$((?:[^$\\]|\\.)*)\$\s*\.?\s*$/s, "$1")
    .replace(/\\begin\{([pbvBV]?)matrix\}(.*?)\\end\{\1matrix\}/gs, (_, __, cells: string) => matrix(cells))
    .replace(/(\d)\\,(?=\d{3}(?!\d))/g, "$1\u2063")
    .replace(/[\u2212\u2013]/g, "-")
    .replace(/[×·⋅∗]|\\(?:times|cdot|ast)(?![a-z])/g, "*")
    .replace(/÷|\\div(?![a-z])/g, "/")
    .replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (run) => `^{${[...run].map((c) => SUPERSCRIPTS.indexOf(c)).join("")}}`)
    .replace(/\\(?:left|right|big|Big|bigg|Bigg|displaystyle|textstyle|limits)(?![A-Za-z])/g, "")
    .replace(/\\[dtc]frac(?![a-z])/g, "\\frac")
    .replace(/\\[()[\]]/g, " ")
    .replace(/\{,\}|\\!/g, (found) => (found === "\\!" ? "" : "\u2063"))
    .replace(/\\[,;: ]|\\q?quad(?![a-z])|~|[\u00a0\u2009\u202f]/g, " ")
    .replace(/\^\s*(?:\{\s*)?(?:\\circ|°)(?:\s*\})?|°|\\degree(?![a-z])/g, "\\text{degrees}")
    .replace(/\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s*\{/g, "\\text{")
    .replace(/\^\s*\{?\s*\\text\{\s*(?:st|nd|rd|th)\s*\}\}?|(?<=\d)(?:st|nd|rd|th)\b/g, "")
    .replace(/\\[lr]vert(?![A-Za-z])/g, "|")
    .replace(/\\(?:dollar|\$)/g, "$")
    .replace(/\*\*/g, "^")
    .trim()
    .replace(/[.。]$/, "")
    .trim();
}

/** A matrix as rows of its rows; a single column `(a, b)`, a single row `[a, b]`. */
function matrix(cells: string): string {
  const rows = cells.split("\\\\").filter((row) => row.trim() !== "");
  const lists = rows.map((row) => row.split("&").join(","));
  if (rows.length === 1) return `[${lists[0]}]`;
  return rows.every((row) => !row.includes("&"))
    ? `(${lists.join(",")})`
    : `(${lists.map((row) => `(${row})`).join(",")})`;
}

export type Token = { kind: "number" | "word" | "text" | "sign"; text: string; spaced: boolean };

const TOKEN =
  /(?<number>(?:\d+(?:\u2063\d{3})+|\d+)(?:\.\d+)?|\.\d+)|\\text\{(?<text>[^{}]*)\}|\\(?<command>[A-Za-z]+|[{}%])|(?<word>[A-Za-z]+)|(?<sign>[-+*/^_=(){}[\],;!%|<>∞√π∪±∈$])/y;

/** A comma between digits that makes thousands: groups of exactly three, nothing but digits around. */
export const THOUSANDS = /(?<![\d.,\u2063])\d{1,3}(?:,\d{3})+(?![\d,])/g;

export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let spaced = false;
  for (let at = 0; at < source.length; ) {
    if (/\s/.test(source[at]!)) {
      spaced = true;
      at++;
      continue;
    }
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(source)?.groups;
    if (!groups) throw new UnreadableError(`unknown sign ${source[at]}`);
    at = TOKEN.lastIndex;
    const { number, text, command, word, sign } = groups;
    if (number !== undefined) tokens.push(...numberTokens(number.replaceAll("\u2063", ""), spaced, tokens.at(-1)));
    else if (text !== undefined) tokens.push({ kind: "text", text: text.trim().toLowerCase(), spaced });
    else if (word !== undefined) tokens.push({ kind: "word", text: word, spaced });
    else if (sign !== undefined || /^[{}%]$/.test(command ?? ""))
      tokens.push({ kind: "sign", text: sign ?? `\\${command}`, spaced });
    else tokens.push(commandToken(command ?? "", spaced));
    if (tokens.length > NODES_MAX) throw new UnreadableError("too long");
    spaced = false;
  }
  return tokens;
}

/** After \frac each digit is a number of its own: \frac12 is 1/2. */
function numberTokens(text: string, spaced: boolean, before: Token | undefined): Token[] {
  const token = (part: string): Token => ({ kind: "number", text: part, spaced });
  if (before?.text !== "\\frac" || !/^\d\d+$/.test(text)) return [token(text)];
  return [text.slice(0, 1), text.slice(1, 2), text.slice(2)].filter((part) => part !== "").map(token);
}

function commandToken(command: string, spaced: boolean): Token {
  const sign = { pi: "π", infty: "∞", cup: "∪", pm: "±", in: "∈", lbrace: "\\{", rbrace: "\\}" }[command];
  if (sign !== undefined) return { kind: "sign", text: sign, spaced };
  if (["frac", "binom", "sqrt", "boxed", "fbox"].includes(command))
    return { kind: "sign", text: `\\${command}`, spaced };
  if (FUNCTIONS.has(command) || GREEK.test(command)) return { kind: "word", text: `\\${command}`, spaced };
  throw new UnreadableError(`unknown command \\${command}`);
}
