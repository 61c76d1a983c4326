/** Markdown to safe nodes: blocks, formulas, code. */
import { Marked, type Token, type TokenizerAndRendererExtension, type Tokens } from "marked";
import { words } from "../words/index.ts";
import { sanitize } from "./sanitize.ts";

/** Text longer than this is shown as it is: laying it out as Markdown would make the page stand still. */
export const MAX_RICH_CHARS = 200_000;
const MAX_BLOCK_CHARS = 50_000;
const MAX_INLINE_MATH_CHARS = 1_000;
const MAX_DISPLAY_MATH_CHARS = 8_000;
/** Tags without attributes that models write inside Markdown and mean as such; all other HTML is shown as text. */
const PLAIN_TAG = /^<\/?(?:br|sub|sup|kbd|mark|u)\s*\/?>$/i;

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

interface MathToken {
  type: string;
  raw: string;
  tex: string;
  display: boolean;
}

/** Reads a formula at the start of `source`, in any of `$…$`, `$$…$$`, `\(…\)`, `\[…\]`; null where there is none. */
export function readMath(source: string): { raw: string; tex: string; display: boolean } | null {
  const two = source.slice(0, 2);
  const display = two === "$$" || two === "\\[";
  const close = { $$: "$$", "\\[": "\\]", "\\(": "\\)" }[two] ?? "$";
  if (close === "$" && source[0] !== "$") return null;
  const from = close === "$" ? 1 : 2;
  const limit = display ? MAX_DISPLAY_MATH_CHARS : MAX_INLINE_MATH_CHARS;
  const window = source.slice(0, limit);
  let end = from - 1;
  do {
    end = window.indexOf(close, end + 1);
    if (end < 0) return null;
  } while (close.startsWith("$") && window[end - 1] === "\\");
  const tex = window.slice(from, end);
  const raw = window.slice(0, end + close.length);
  if (tex.trim() === "" || /\n\s*\n/.test(tex)) return null;
  // Prices are not formulas: "$5 and $6" has a blank before its second sign, or a digit after it.
  if (close === "$" && (/^\s|\s$|\n/.test(tex) || /\d/.test(source[end + 1] ?? ""))) return null;
  return { raw, tex: tex.trim(), display };
}

function mathExtension(name: string, level: "block" | "inline"): TokenizerAndRendererExtension {
  return {
    name,
    level,
    start(source) {
      const found = source.search(level === "block" ? /\$\$|\\\[/ : /\$|\\[([]/);
      return found < 0 ? undefined : found;
    },
    tokenizer(source) {
      const math = readMath(source);
      if (!math) return undefined;
      if (level === "inline") return { type: name, ...math };
      const rest = source.slice(math.raw.length);
      const line = /^[ \t]*(?:\n+|$)/.exec(rest);
      return math.display && line ? { type: name, raw: math.raw + line[0], tex: math.tex, display: true } : undefined;
    },
    renderer(token) {
      const { tex, display } = token as unknown as MathToken;
      return `<span class="${display ? "math-display" : "math-inline"}">${escapeHtml(tex)}</span>${level === "block" ? "\n" : ""}`;
    },
  };
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  extensions: [mathExtension("mathBlock", "block"), mathExtension("mathInline", "inline")],
  tokenizer: {
    // 36*7 and a*b are products: between ASCII letters, digits and brackets a star never opens emphasis.
    emStrong(source, _masked, previous) {
      const stars = /^\*{1,2}(?=[A-Za-z0-9([])/.exec(source)?.[0];
      if (!stars || !/[A-Za-z0-9)\]]/.test(previous ?? "")) return false;
      return { type: "text", raw: stars, text: stars } as unknown as Tokens.Em;
    },
  },
  renderer: {
    html({ text }) {
      return text
        .split(/(<[^<>]*>)/)
        .map((part) => (PLAIN_TAG.test(part) ? part : escapeHtml(part)))
        .join("");
    },
    image({ href, text }) {
      return `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`;
    },
    checkbox({ checked }) {
      return `<span class="task">${checked ? "☑" : "☐"}</span> `;
    },
  },
});

/** A paragraph, list, table, … of a text. Equal `key`s look the same. */
export interface Block {
  key: string;
  /** Safe nodes; asked for anew on each call, for the page to own. */
  nodes(): DocumentFragment;
}

/**
 * Splits Markdown into blocks, so that a growing answer draws again only its last one. Never throws: what the parser
 * cannot take (a nesting thousands deep, a text of megabytes) becomes plain text.
 */
export function markdownBlocks(text: string): Block[] {
  if (text.length > MAX_RICH_CHARS) return [plain(text)];
  let tokens: Token[];
  try {
    tokens = marked.lexer(text);
  } catch {
    return [plain(text)];
  }
  return tokens
    .filter((token) => token.type !== "space" && token.type !== "def")
    .map((token) => ({
      key: token.raw,
      nodes: () => {
        if (token.raw.length > MAX_BLOCK_CHARS && token.type !== "code") return plain(token.raw).nodes();
        try {
          return decorate(sanitize(marked.parser([token])), token);
        } catch {
          return plain(token.raw).nodes();
        }
      },
    }));
}

function plain(text: string): Block {
  return {
    key: text,
    nodes() {
      const fragment = document.createDocumentFragment();
      const block = document.createElement("p");
      block.className = "plain";
      block.textContent = text;
      fragment.append(block);
      return fragment;
    },
  };
}

/** Gives code its title bar with a copy button, and tables a box to scroll in. Buttons work by the page's listener. */
function decorate(fragment: DocumentFragment, token: Token): DocumentFragment {
  for (const pre of fragment.querySelectorAll("pre")) {
    const frame = document.createElement("div");
    frame.className = "code";
    const bar = document.createElement("div");
    bar.className = "code-bar";
    const name = document.createElement("span");
    name.textContent =
      token.type === "code" ? ((token as Tokens.Code).lang ?? "").split(/\s/)[0]!.slice(0, 24) || "code" : "code";
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "quiet small";
    copy.dataset.copy = "code";
    copy.textContent = words.common.copy;
    bar.append(name, copy);
    pre.tabIndex = 0;
    pre.replaceWith(frame);
    frame.append(bar, pre);
  }
  for (const table of fragment.querySelectorAll("table")) {
    const box = document.createElement("div");
    box.className = "table-box";
    box.tabIndex = 0;
    table.replaceWith(box);
    box.append(table);
  }
  return fragment;
}
