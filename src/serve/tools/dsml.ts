/** Calls as DeepSeek-V3.2 and V4 write them: elements, with one element for each argument. */
import type { ToolFormat } from "./format.ts";

const MARK = "｜DSML｜";

/** V3.2 calls the whole `function_calls`, V4 `tool_calls`. */
const dsml = (name: string, element: string): ToolFormat => ({
  name,
  marks: [MARK],
  gap: "\n\n",
  open: `<${MARK}${element}>\n`,
  begin: `<${MARK}invoke name="`,
  middle: '">\n',
  end: `</${MARK}invoke>\n`,
  between: "",
  close: `</${MARK}${element}>`,
  place: "line",
  parameters: {
    open: `<${MARK}parameter name="`,
    kind: '" string="',
    middle: '">',
    close: `</${MARK}parameter>\n`,
  },
});

export const deepseekV32 = dsml("deepseek-v3.2", "function_calls");
export const deepseekV4 = dsml("deepseek-v4", "tool_calls");
