/** Calls as Hermes, Qwen 2.5 and 3 and others write them: each a JSON object between tags. */
import type { ToolFormat } from "./format.ts";

export const hermes: ToolFormat = {
  name: "hermes",
  marks: ["<tool_call>", "</tool_call>"],
  gap: "\n",
  open: "",
  begin: '<tool_call>\n{"name": "',
  middle: '", "arguments": ',
  end: "}\n</tool_call>",
  between: "\n",
  close: "",
  place: "line",
};
