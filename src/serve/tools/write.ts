/** Calls as a model would write them: for a history whose sampled bytes are not known, and for examples. */

import { isRecord, parseJson } from "../../json.ts";
import type { WrittenPart } from "../../tokenizer/index.ts";
import { spaced } from "../structure/jsonSchema.ts";
import type { ToolCall, ToolFormat } from "./format.ts";

/** Calls in their format. Names and markup are the format's, arguments are somebody's text. */
export function writeCalls(
  format: ToolFormat,
  calls: readonly Pick<ToolCall, "name" | "arguments">[],
): readonly WrittenPart[] {
  const { open, begin, middle, end, between, close } = format;
  const parts: WrittenPart[] = [{ markup: open }];
  for (const [i, call] of calls.entries()) {
    parts.push({ markup: `${i === 0 ? "" : between}${begin}${call.name}${middle}` });
    parts.push(...argumentParts(format, call.arguments), { markup: end });
  }
  return [...parts, { markup: close }];
}

/** Parts as one text. */
export const textOf = (parts: readonly WrittenPart[], decode: (ids: readonly number[]) => string): string =>
  parts
    .map((part) =>
      "ids" in part ? decode(part.ids) : "text" in part ? part.text : "markup" in part ? part.markup : "",
    )
    .join("");

function argumentParts({ parameters }: ToolFormat, text: string): WrittenPart[] {
  const value = jsonOf(text);
  if (parameters === undefined || !isRecord(value)) return [{ text: value === undefined ? text : spaced(value) }];
  const { open, kind, middle, close } = parameters;
  return Object.entries(value).flatMap(([name, one]) => {
    const isText = typeof one === "string";
    return [
      { markup: open },
      { text: name },
      { markup: `${kind}${isText}${middle}` },
      { text: isText ? one : spaced(one) },
      { markup: close },
    ];
  });
}

/** undefined where it is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
