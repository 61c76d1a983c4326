export { createApp, type AppOptions } from "./app.ts";
export { loadModel, loadServed, resolveModel, type LoadOptions, type OpenLanguageModel } from "./load.ts";
export { hasPages, pageRoutes, PAGES } from "./pages.ts";
export type { ModelInfo, ServedModel } from "./served.ts";
export { listen, type ListenOptions, type RunningServer } from "./server.ts";
export { writeText, type Piece, type WriteOptions } from "./write.ts";
export type { ServeTokenizer } from "./tokens.ts";
