export { type AppOptions, createApp } from "./app.ts";
export { type LoadOptions, loadModel, loadServed, type OpenLanguageModel, resolveModel } from "./load.ts";
export { hasPages, PAGES, pageRoutes } from "./pages.ts";
export type { ModelInfo, ServedModel } from "./served.ts";
export { type ListenOptions, listen, type RunningServer } from "./server.ts";
export type { ServeTokenizer } from "./tokens.ts";
export { type Piece, type WriteOptions, writeText } from "./write.ts";
