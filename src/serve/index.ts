/** The server: OpenAI's API over HTTP, the pages and their API. */
export { DRAFTS, type DraftStatistics, type DraftsKind } from "../infer/index.ts";
export { type AppOptions, createApp } from "./app.ts";
export { planChat } from "./chat.ts";
export type { Encoder } from "./encoder.ts";
export { headerOf } from "./fields.ts";
export { isLoopback } from "./guard.ts";
export { inflate } from "./inflate.ts";
export { type LoadedModel, type LoadOptions, loadModel, loadServed, type OpenLanguageModel } from "./load.ts";
export { hasPages, PAGES, pageRoutes } from "./pages.ts";
export { RequestReader } from "./requestReader.ts";
export { type ChatRequest, parseChat } from "./schema.ts";
export type { ModelInfo, ServedModel } from "./served.ts";
export { type ListenOptions, listen, type RunningServer } from "./server.ts";
export type { ServeTokenizer } from "./tokens.ts";
export { type Piece, type WriteOptions, writeText } from "./write.ts";
