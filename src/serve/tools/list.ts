/** Calls as SmolLM2 writes them: one JSON list of all between tags. Also what models are told to write whose templates know no tools. */
import type { ToolFormat } from "./format.ts";

export const list: ToolFormat = {
  name: "list",
  marks: ["<tool_call>", "</tool_call>"],
  gap: "\n",
  open: "<tool_call>[",
  begin: '{"name": "',
  middle: '", "arguments": ',
  end: "}",
  between: ", ",
  close: "]</tool_call>",
  place: "line",
};
