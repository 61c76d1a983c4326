/** Finds the answer in what a model says after its thought. */

/** Of a long text only the end is looked at: there the answer stands. */
const LOOK_CHARS = 20_000;
const LINE_CHARS = 400;

/**
 * The last `\boxed{…}`, within the last `<answer>…</answer>` if there is one; else what follows `####`, or "answer is" / "answer:"; else the
 * last line, of which what follows the last `=`, or its last number if it says more. Undefined for a blank, or an empty box.
 */
export const finalAnswer = (said: string): string | undefined => {
  const { answer, marked } = answerPart(said);
  return blankToNone(marked ? answer : ofLine(answer));
};

/** The same place, as it is written: also the whole last line. `marked`: it stood in a box, tags or behind a mark. */
export function answerPart(said: string): { answer: string; marked: boolean } {
  const text = said.slice(-LOOK_CHARS);
  const tag = text.lastIndexOf("<answer>");
  const tagged = tag < 0 ? undefined : text.slice(tag + "<answer>".length).split("</answer>")[0];
  const where = tagged ?? text;
  const box = lastBox(where);
  if (box !== undefined) return { answer: box.trim(), marked: true };
  const marked = lastMatch(where, /####|\banswer(?:\s{1,3}is\b|\s?:|\s?=):?/gi);
  if (marked !== undefined && marked.trim() !== "") return { answer: sentence(marked), marked: true };
  if (tagged !== undefined) return { answer: tagged.trim(), marked: true };
  const line = where.trim().split("\n").at(-1)?.slice(-LINE_CHARS) ?? "";
  return { answer: line.trim(), marked: false };
}

/** The rest of the line after the last place that matches. */
function lastMatch(text: string, mark: RegExp): string | undefined {
  const last = [...text.matchAll(mark)].at(-1);
  return last && text.slice(last.index + last[0].length).split("\n")[0];
}

const blankToNone = (text: string): string | undefined => (text.trim() === "" ? undefined : text.trim());

/** Up to the end of a sentence, without marks of emphasis. */
const sentence = (text: string): string =>
  text
    .replace(/\*\*|__/g, "")
    .replace(/[.!?](?:\s.*)?$/s, "")
    .trim();

/** A short line is the answer as it stands; of a sentence what it ends with. */
function ofLine(line: string): string {
  const said = sentence(line);
  const ends = said.includes("=") ? said.slice(said.lastIndexOf("=") + 1).trim() : said;
  if (!/[A-Za-z]{2,}\s+\S+\s+\S+/.test(ends.replace(/\\[a-z]+/g, ""))) return ends;
  return ends.match(/-?\$?\d[\d,]*(?:\.\d+)?(?:\/\d+)?%?/g)?.at(-1) ?? ends;
}

/** What the last box holds, its braces balanced; blank of one that does not end, undefined without any. */
function lastBox(text: string): string | undefined {
  const at = Math.max(text.lastIndexOf("\\boxed"), text.lastIndexOf("\\fbox"));
  if (at < 0) return undefined;
  const start = text.indexOf("{", at);
  if (start < 0) return "";
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return text.slice(start + 1, i);
  }
  return "";
}
