/** Formulas drawn by KaTeX, within limits. */
import "katex/dist/katex.min.css";
import katex from "katex";

/** Limits that keep a hostile formula from growing without end or reaching out of its line. */
const OPTIONS = { throwOnError: false, trust: false, strict: "ignore" as const, maxSize: 20, maxExpand: 500 };

/**
 * Draws one formula into an element. KaTeX builds nodes and sets styles on them (no HTML text is parsed, no `style`
 * attribute written), which is what lets the page forbid inline styles. What KaTeX cannot read stays as its source.
 */
export function drawMath(element: HTMLElement, tex: string, display: boolean): void {
  try {
    katex.render(tex, element, { ...OPTIONS, displayMode: display });
  } catch {
    element.textContent = tex;
  }
}
