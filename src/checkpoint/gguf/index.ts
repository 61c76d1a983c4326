/** GGUF files: models in llama.cpp's format. */
export { GgufCheckpoint, type GgufModel, isGguf, readGguf } from "./file.ts";
export { layoutOf, type StoredTensorPlan } from "./layout.ts";
export { architectureOfConfig, type Entry, entriesOf } from "./metadata.ts";
export { ggmlNameOf, WRITTEN_TYPES, type WrittenType } from "./quantize.ts";
export { ggufTexts, hasWords } from "./tokenizer.ts";
export { ggmlType } from "./types.ts";
export { tokenizerEntries } from "./words.ts";
export { checkGgufTakeable, type TensorToWrite, writeGguf } from "./write.ts";
