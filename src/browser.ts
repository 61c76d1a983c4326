/** What "sumbi" is in a browser: what it is in Node, without what needs files, processes or the runtime. */

export * from "./errors.ts";
export { countParameters, flopsPerToken, type ModelConfig, parseConfig, presetConfig } from "./model/index.ts";
export type { OnProgress, ProgressReport } from "./progress.ts";
export { createApp } from "./serve/browser.ts";
export { Tokenizer } from "./tokenizer/index.ts";
