export { arithmeticProblem, checkArithmetic, type ArithmeticKind, type ArithmeticProblem, type ArithmeticSplit } from "./arithmetic.ts";
export { arithmeticDocument, smalltalkDocument, type ChatDocument } from "./smalltalk.ts";
export { readDocuments, type Broken, type Document, type OnBroken, type ReadOptions } from "./documents.ts";
export { findSources, type Source } from "./sources.ts";
export { builtinHash } from "./builtin.ts";
export { prepareData, type PrepareOptions } from "./prepare.ts";
export { type BatchRequest, Dataset, openDataset } from "./dataset.ts";
export type { Split } from "./shards.ts";
export { loadTokenizer, tokenizerHash } from "./tokenizerFolder.ts";
