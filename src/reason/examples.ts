/** What a model is fine-tuned on: conversations of files and texts of a task, as ids, with some held out. */
import { createHash } from "node:crypto";
import { breather } from "../abort.ts";
import {
  type Document,
  describeLeftOut,
  emptyReading,
  encodeReplies,
  hashText,
  leaveOut,
  type NoDocument,
  type OnBroken,
  readDocuments,
  type TrainingMessage,
  within,
} from "../data/index.ts";
import { DataError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { splitOf, type Task, taskText } from "./task.ts";

/** One sequence: what is trained as id, what is only read as ~id. */
export interface Example {
  ids: Int32Array;
  /** Of what is asked first: the same question is never on both sides of a split. */
  question: number;
}

export interface Examples {
  trained: Example[];
  heldout: Example[];
  /** Of all of them, in their order: SHA-256 in hex. */
  hash: string;
  /** What was left out, in words. */
  leftOut?: string;
}

export interface ExamplesRequest {
  /** Files, folders, globs: .jsonl and .parquet of `messages`. */
  data: readonly string[];
  /** Texts 0 … count − 1 of a task besides, from its train split. */
  task?: { task: Task; count: number; longShare: number; seed: number };
  tokenizer: Tokenizer;
  /** Longer sequences are refused, or left out. */
  longest: number;
  onBroken: OnBroken;
  /** Share of questions that are held out. */
  holdout: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** More tokens are refused: half a gigabyte of ids. */
const TOKENS_MAX = 2 ** 27;
const ENCODE_MILLIS = 60_000;
const READ_EACH = 64;

/** Reads and encodes all of it. Throws DataError naming file and line of what cannot be used, and where nothing is left to train on. */
export async function loadExamples(request: ExamplesRequest): Promise<Examples> {
  const { data, task, tokenizer, longest, onBroken, onProgress = () => {}, signal } = request;
  const breathe = breather(signal);
  const reading = emptyReading();
  const all: Example[] = [];
  let tokens = 0;
  const add = (examples: readonly Example[]): void => {
    for (const example of examples) tokens += example.ids.length;
    if (tokens > TOKENS_MAX)
      throw new DataError(`--data: expected at most ${TOKENS_MAX} tokens to fine-tune on, got more; give fewer texts`);
    all.push(...examples);
    if (all.length % READ_EACH === 0)
      onProgress({
        label: "reading texts",
        done: all.length,
        total: task && data.length === 0 ? task.count : 0,
        unit: "examples",
      });
  };
  let encoded: Example[] = [];
  const check = (document: Document, row: Readonly<Record<string, unknown>>): NoDocument | undefined => {
    const found = examplesOf(document, row, tokenizer, longest);
    if ("fault" in found) return found;
    encoded = found;
    return undefined;
  };
  if (data.length > 0)
    for await (const document of readDocuments(data, {
      onBroken,
      report: (broken) => leaveOut(reading, broken),
      check,
    })) {
      if ("text" in document)
        throw new DataError(
          "--data: expected .jsonl or .parquet of conversations (`messages`), got plain text; train on it with sumbi train",
        );
      add(encoded);
      await breathe();
    }
  for (let i = 0; task && i < task.count; i++) {
    const text = await taskText(task.task, i, task);
    const found = examplesOf(text, {}, tokenizer, longest);
    if ("fault" in found) throw new DataError(`task ${task.task.name}: text ${i}: ${found.reason}`);
    add(found);
    await breathe();
  }
  return { ...dividedByQuestion(all, request.holdout), hash: hashOf(all), leftOut: describeLeftOut(reading) };
}

/** The sequences of one conversation, or what is wrong with it. */
function examplesOf(
  document: Document | { messages: readonly TrainingMessage[] },
  row: Readonly<Record<string, unknown>>,
  tokenizer: Tokenizer,
  longest: number,
): Example[] | NoDocument {
  if ("text" in document)
    return {
      fault: "no reply to train on",
      reason: "expected `messages`, got `text`; train on texts with sumbi train",
    };
  const { messages } = document;
  const { group } = row;
  if (typeof group === "string" && /^[0-9a-f]{16}$/.test(group) && splitOf(group) === "test")
    return {
      fault: "a test problem",
      reason: `expected a problem to train on, got one of the test split (group ${group})`,
    };
  const sequences = within(ENCODE_MILLIS, "tokenising a conversation", () => encodeReplies(messages, tokenizer));
  if (sequences.length === 0)
    return {
      fault: "no reply to train on",
      reason: "expected a reply of the assistant's, of a weight that is not 0; got none",
    };
  const most = Math.max(...sequences.map(({ length }) => length));
  if (most > longest)
    return {
      fault: "too long",
      reason: `expected at most ${longest} tokens, got ${most}; shorten it, or leave such out with --set broken=skip`,
    };
  const first = messages.findIndex(({ role }) => role === "assistant");
  const question = hashText(JSON.stringify(messages.slice(0, first).map(({ role, content }) => [role, content])));
  return sequences.map((ids) => ({ ids, question }));
}

/** Holds out the questions of the lowest hashes until they are a share of all sequences; none of fewer than ten. */
export function dividedByQuestion(all: readonly Example[], share: number): Pick<Examples, "trained" | "heldout"> {
  const wanted = all.length < 10 ? 0 : Math.ceil(all.length * share);
  const sorted = all.map(({ question }) => question).sort((a, b) => a - b);
  const last = wanted === 0 ? -1 : (sorted[wanted - 1] ?? -1);
  const trained = all.filter(({ question }) => question > last);
  if (trained.length === 0)
    throw new DataError(
      all.length === 0
        ? "--data: expected conversations to fine-tune on, got none"
        : "--data: expected more than one question, or holdout=0: all that there is would be held out",
    );
  return { trained, heldout: all.filter(({ question }) => question <= last) };
}

function hashOf(all: readonly Example[]): string {
  const hash = createHash("sha256");
  for (const { ids } of all)
    hash.update(`${ids.length} `).update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
  return hash.digest("hex");
}
