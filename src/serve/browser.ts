/** Serving in a browser or any other web-standard runtime: the app, without files, processes and sockets. `app.fetch(request)` answers. */
export { type AppOptions, createApp } from "./app.ts";
export { planChat } from "./chat.ts";
export { type Encoder, localEncoder } from "./encoder.ts";
export { type ChatRequest, parseChat } from "./schema.ts";
export type { ModelInfo, ServedModel } from "./served.ts";
export type { ServeTokenizer } from "./tokens.ts";
export { type Piece, type WriteOptions, writeText } from "./write.ts";
