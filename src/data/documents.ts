/** Documents read from text, JSONL, parquet and built-in sources; broken ones are named and left out or refused. */
import { DataError } from "../errors.ts";
import type { ChatMessage } from "../tokenizer/index.ts";
import { BUILTINS } from "./builtin.ts";
import { type Line, linesBefore, MAX_LINE_BYTES, readLines } from "./lines.ts";
import { readParquetRows } from "./parquet.ts";
import { findSources, type Source } from "./sources.ts";
import { planUnits, type UnitPart } from "./units.ts";

/** A message to train on. OpenAI's `weight` 0 means: read as part of the conversation, not trained. */
export interface TrainingMessage extends ChatMessage {
  weight?: number;
}

/** A text, or a conversation. A long text file comes in pieces: `first` and `last` say where its ends are. */
export type Document = { text: string; first: boolean; last: boolean } | { messages: TrainingMessage[] };

/** What to do with a line or row that cannot be used: leave it out, or end with a DataError. */
export type OnBroken = "skip" | "fail";

/** Why a line or row is left out, for counting. */
export const FAULTS = [
  "not UTF-8",
  "not text",
  "not JSON",
  "too long",
  "no text or messages",
  "empty",
  "a message of another shape",
  "no reply to train on",
  "a test problem",
] as const;
export type Fault = (typeof FAULTS)[number];

/** A line or row left out; `line` counts from 1 (for parquet: the row). */
export interface Broken {
  path: string;
  line: number;
  fault: Fault;
  /** What was expected, and came, there. */
  reason: string;
  /** Of the line; 0 for a row. */
  bytes: number;
}

export interface ReadOptions {
  onBroken?: OnBroken;
  /** Told of every line left out. */
  report?: (broken: Broken) => void;
  /** Generated corpora make other documents for the held-out split. */
  split?: "train" | "heldout";
  /** What else is asked of a document, which came as `row`: what is wrong with it, if anything. Not asked of built-in corpora and .txt. */
  check?: (document: Document, row: Readonly<Record<string, unknown>>) => NoDocument | undefined;
}

/**
 * All documents of files, folders, globs and built-in corpora, streamed in a fixed order. .txt: the file, in pieces cut
 * at paragraphs, a line `<|endoftext|>` separates documents. .jsonl and .parquet: `text` or `messages` per line or row.
 * Throws DataError naming file and line for what cannot be used, unless `onBroken` is "skip".
 */
export async function* readDocuments(paths: readonly string[], options: ReadOptions = {}): AsyncGenerator<Document> {
  for (const unit of await planUnits(findSources(paths))) for (const part of unit.parts) yield* readPart(part, options);
}

/** The documents of one part of one source. */
export async function* readPart(part: UnitPart, options: ReadOptions): AsyncGenerator<Document> {
  const { source } = part;
  if (source.kind === "text") yield* readText(source, part, options);
  else if (source.kind === "jsonl") yield* readJsonLines(source, part, options);
  else if (source.kind === "parquet") {
    let row = part.start;
    for await (const value of readParquetRows(source.path, part.start, part.end)) {
      row++;
      const document = checkedDocument(value, options);
      if ("fault" in document) broken(options, { path: source.path, line: row, bytes: 0, ...document });
      else yield document;
    }
  } else {
    const { name } = source.builtin!;
    for (let i = part.start; i < part.end; i++) {
      const document = BUILTINS[name].document(i, options.split ?? "train");
      yield "text" in document ? { ...document, first: true, last: true } : document;
    }
  }
}

function broken(options: ReadOptions, what: Broken): void {
  if (options.onBroken !== "skip") throw new DataError(`${what.path}:${what.line}: ${what.reason}`);
  options.report?.(what);
}

/** Numbers the lines of a part only when one must be named. */
function lineNumbers(source: Source, part: UnitPart): (index: number) => number {
  let before: number | undefined;
  return (index) => (before ??= part.start > 0 ? linesBefore(source.path, part.start - 1) + 1 : 0) + index + 1;
}

function* readJsonLines(source: Source, part: UnitPart, options: ReadOptions): Generator<Document> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const numberOf = lineNumbers(source, part);
  let index = -1;
  for (const lines of readLines(source.path, part.start, part.end))
    for (const line of lines) {
      index++;
      let found: Document | NoDocument;
      if (line.cut) found = { fault: "too long", reason: `expected a line of at most ${MAX_LINE_BYTES >> 20} MiB` };
      else {
        try {
          const text = decoder.decode(line.bytes).trim();
          if (text === "") continue;
          found = checkedDocument(JSON.parse(text), options);
        } catch (error) {
          found =
            error instanceof SyntaxError
              ? { fault: "not JSON", reason: `expected JSON: ${error.message}` }
              : { fault: "not UTF-8", reason: "expected UTF-8" };
        }
      }
      if ("fault" in found)
        broken(options, { path: source.path, line: numberOf(index), bytes: line.bytes.length, ...found });
      else yield found;
    }
}

/** What is wrong with a line or row. */
export type NoDocument = Pick<Broken, "fault" | "reason">;

/** A document from a parsed line or row that is all that is asked of it, or what is wrong with it. */
function checkedDocument(value: unknown, { check }: ReadOptions): Document | NoDocument {
  const found = documentOf(value);
  return ("fault" in found ? undefined : check?.(found, value as Record<string, unknown>)) ?? found;
}

/** A document from a parsed line or row, or what is wrong with it. */
function documentOf(value: unknown): Document | NoDocument {
  const no = (fault: Fault, reason: string): NoDocument => ({ fault, reason });
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return no("no text or messages", "expected an object with `text` or `messages`");
  const { text, messages } = value as Record<string, unknown>;
  if (typeof text === "string")
    return text === "" ? no("empty", "expected a `text` that is not empty") : { text, first: true, last: true };
  if (!Array.isArray(messages)) return no("no text or messages", "expected `text` (a string) or `messages` (a list)");
  if (messages.length === 0) return no("empty", "expected at least one message");
  const list: TrainingMessage[] = [];
  const shape = (i: number, what: string): NoDocument => no("a message of another shape", `messages[${i}]${what}`);
  for (const [i, message] of messages.entries()) {
    if (typeof message !== "object" || message === null) return shape(i, ": expected an object");
    const { role, content, reasoning_content, weight } = message as Record<string, unknown>;
    if (role !== "user" && role !== "assistant" && role !== "system")
      return shape(i, ".role: expected user, assistant or system");
    if (typeof content !== "string") return shape(i, ".content: expected a string");
    if (weight != null && weight !== 0 && weight !== 1) return shape(i, ".weight: expected 0 or 1");
    const thought = typeof reasoning_content === "string" && reasoning_content !== "" ? { reasoning_content } : {};
    list.push({ role, content, ...thought, ...(weight === 0 ? { weight } : {}) });
  }
  return { messages: list };
}

const SEPARATOR = "<|endoftext|>";

function* readText(source: Source, part: UnitPart, options: ReadOptions): Generator<Document> {
  const numberOf = lineNumbers(source, part);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Small files are cut finely, so that a held-out share can be taken from them too. */
  const pieceChars = Math.min(16384, Math.max(512, Math.floor(source.bytes / 256)));
  let piece: string[] = [];
  let size = 0;
  let first = part.start === 0;
  let index = -1;
  // The piece before the present one, kept until it is known whether it is the last.
  let held: { text: string; first: boolean } | undefined;
  const close = () => {
    if (size === 0) return undefined;
    const out = held;
    held = { text: piece.join(""), first };
    first = false;
    piece = [];
    size = 0;
    return out && { ...out, last: false };
  };
  for (const lines of readLines(source.path, part.start, part.end))
    for (const line of lines) {
      index++;
      let text: string;
      try {
        text = decodeLine(decoder, line);
      } catch {
        broken(options, {
          path: source.path,
          line: numberOf(index),
          bytes: line.bytes.length,
          fault: "not UTF-8",
          reason: "expected UTF-8",
        });
        continue;
      }
      // UTF-16 without its mark, or no text at all.
      if (text.includes("\0")) {
        broken(options, {
          path: source.path,
          line: numberOf(index),
          bytes: line.bytes.length,
          fault: "not text",
          reason: "expected text, got a NUL character; UTF-16 needs its byte order mark",
        });
        continue;
      }
      if (index === 0 && part.start === 0 && text.startsWith("\ufeff")) text = text.slice(1);
      if (text.trim() === SEPARATOR) {
        const before = close();
        if (before) yield before;
        if (held) yield { ...held, last: true };
        held = undefined;
        first = true;
        continue;
      }
      if (text === "") continue;
      piece.push(text);
      size += text.length;
      if (size >= (text.trim() === "" ? pieceChars : 4 * pieceChars)) {
        const before = close();
        if (before) yield before;
      }
    }
  const before = close();
  if (before) yield before;
  if (held && held.text.trim() !== "") yield { ...held, last: part.last };
}

function decodeLine(decoder: TextDecoder, line: Line): string {
  return decoder.decode(line.bytes) + (line.ended ? "\n" : "");
}
