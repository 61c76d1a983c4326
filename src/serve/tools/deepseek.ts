/** Calls as DeepSeek-V3 and R1 write them, in fences, and as V3.1 does, without. */
import type { ToolFormat } from "./format.ts";

const [CALLS, END_CALLS, CALL, END_CALL, SEPARATOR] = [
  "<｜tool▁calls▁begin｜>",
  "<｜tool▁calls▁end｜>",
  "<｜tool▁call▁begin｜>",
  "<｜tool▁call▁end｜>",
  "<｜tool▁sep｜>",
] as const;

export const deepseekV31: ToolFormat = {
  name: "deepseek-v3.1",
  marks: [CALLS, END_CALLS, CALL, END_CALL, SEPARATOR],
  gap: "",
  open: CALLS,
  begin: CALL,
  middle: SEPARATOR,
  end: END_CALL,
  between: "",
  close: END_CALLS,
  place: "line",
};

export const deepseekV3: ToolFormat = {
  ...deepseekV31,
  name: "deepseek-v3",
  begin: `${CALL}function${SEPARATOR}`,
  middle: "\n```json\n",
  end: `\n\`\`\`${END_CALL}`,
  between: "\n",
  tracked: true,
};
