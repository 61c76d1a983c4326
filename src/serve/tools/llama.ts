/** Calls as Llama 3.1 to 3.3 write them: a JSON object that is the answer. */
import type { ToolFormat } from "./format.ts";

export const llama3: ToolFormat = {
  name: "llama-3",
  marks: [],
  gap: "",
  open: "",
  begin: '{"name": "',
  middle: '", "parameters": ',
  end: "}",
  between: "; ",
  close: "",
  place: "start",
};
