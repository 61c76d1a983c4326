/** Arguments that are written one by one, as JSON. */
import type { ParameterMarkup } from "./format.ts";
import type { Reading, Source } from "./source.ts";

/** Takes elements of arguments and says the JSON object that they are, as it comes. False: they broke off. */
export function* readParameters(
  source: Source,
  { open, kind, middle, close }: ParameterMarkup,
  say: (text: string) => void,
): Reading<boolean> {
  const read = (literal: string): string => source.markup.read(literal);
  say("{");
  for (let first = true; ; first = false) {
    const opened = yield* source.match(read(open), 0);
    if (opened < 0) break;
    source.take(opened);
    let name = "";
    if (!(yield* source.until(kind, (text) => (name += text)))) return false;
    let isText = "";
    if (!(yield* source.until(middle, (text) => (isText += text)))) return false;
    say(`${first ? "" : ", "}${JSON.stringify(name)}: `);
    const end = read(close).trimEnd();
    if (isText === "true") {
      say('"');
      if (!(yield* source.until(end, (text) => say(inString(text))))) return false;
      say('"');
    } else {
      let value = "";
      if (!(yield* source.until(end, (text) => (value += text)))) return false;
      say(jsonOr(value));
    }
    yield* source.skip();
  }
  if (source.ended) return false;
  say("}");
  return true;
}

const inString = (text: string): string => JSON.stringify(text).slice(1, -1);

/** The text itself where it is JSON; else a JSON string of it. */
function jsonOr(text: string): string {
  try {
    JSON.parse(text);
    return text.trim();
  } catch {
    return JSON.stringify(text);
  }
}
