/** GGUF files: models in llama.cpp's format. */
export { GgufCheckpoint, type GgufModel, isGguf, readGguf } from "./file.ts";
export { ggufTexts } from "./tokenizer.ts";
