/** The formats of tool calls, and which of them a chat template speaks. */
import { deepseekV3, deepseekV31 } from "./deepseek.ts";
import { deepseekV4, deepseekV32 } from "./dsml.ts";
import type { ToolFormat } from "./format.ts";
import { hermes } from "./hermes.ts";
import { list } from "./list.ts";
import { llama3 } from "./llama.ts";

/** In their order: the first whose words a template has. */
const KNOWN: readonly (readonly [ToolFormat, (template: string) => boolean])[] = [
  [deepseekV4, (template) => template.includes("｜DSML｜tool_calls")],
  [deepseekV32, (template) => template.includes("｜DSML｜")],
  [deepseekV3, (template) => template.includes("<｜tool▁calls▁begin｜>") && template.includes("```json")],
  [deepseekV31, (template) => template.includes("<｜tool▁calls▁begin｜>")],
  [hermes, (template) => template.includes("<tool_call>") && !template.includes("<function=")],
  [llama3, (template) => template.includes("<|start_header_id|>") && readsTools(template)],
];

/** Whether a template shows the model which tools there are. */
const readsTools = (template: string): boolean => /\btools\b/.test(template);

/** How a model speaks of tools. */
export interface ToolSpeech {
  readonly format: ToolFormat;
  /** Its template shows the tools; else they are described in a system message. */
  readonly offers: boolean;
  /** Its template has a role for results; else they come in a user's message. */
  readonly results: boolean;
}

/** How a model with this chat template speaks of tools. One whose template names no format that is known here is told to write calls as a list. */
export function speechOf(template = ""): ToolSpeech {
  const format = KNOWN.find(([, has]) => has(template))?.[0];
  const results = /['"](tool|ipython)['"]/.test(template);
  return format === undefined
    ? { format: list, offers: false, results }
    : { format, offers: readsTools(template), results };
}
