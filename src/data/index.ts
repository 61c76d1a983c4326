/** Training data: sources read, tokenised into shards, and dealt out as batches by a seed. */
export {
  type ArithmeticKind,
  type ArithmeticProblem,
  type ArithmeticSplit,
  arithmeticProblem,
  checkArithmetic,
} from "./arithmetic.ts";
export { type Cleared, clearShards, openShards, shardsDir } from "./cache.ts";
export { areUnchanged, hashSources, stampOf } from "./contents.ts";
export { conversationDocument } from "./conversations.ts";
export { type BatchRequest, Dataset, openDataset } from "./dataset.ts";
export {
  type Broken,
  type Document,
  type Fault,
  type NoDocument,
  type OnBroken,
  type ReadOptions,
  readDocuments,
  type TrainingMessage,
} from "./documents.ts";
export { type HeldoutWindow, heldoutWindows } from "./heldout.ts";
export { type PreparedData, type PrepareOptions, prepareData } from "./prepare.ts";
export { encodeDocument } from "./prepareUnit.ts";
export { hashText, permute, Random } from "./random.ts";
export { encodeReplies } from "./replies.ts";
export {
  checkIsText,
  type DataReport,
  describeLeftOut,
  emptyReading,
  leaveOut,
  leftOutTotal,
  type Reading,
} from "./report.ts";
export type { Split } from "./shards.ts";
export { arithmeticDocument, type ChatDocument, smalltalkDocument } from "./smalltalk.ts";
export { absolutePaths, findSources, type Source, type Survey, surveySources } from "./sources.ts";
export {
  loadTokenizer,
  readTokenizerFiles,
  type TokenizerFiles,
  tokenizerHash,
  tokenizerOf,
} from "./tokenizerFolder.ts";
export { InterruptedError, within } from "./within.ts";
export { multiplyWorking, type Working } from "./working.ts";
