/** Lines of a text file with their places, in bounded memory, in UTF-8 and UTF-16. */
import { closeSync, readSync } from "node:fs";
import { openRegularSync } from "../checkpoint/index.ts";
import { DataError } from "../errors.ts";

const BLOCK_BYTES = 1 << 20;
/** A longer line is broken off here: memory stays bounded whatever the file holds. */
export const MAX_LINE_BYTES = 64 << 20;
const NEWLINE = 10;

/** One line without its newline. `ended` is false at the end of a file without a last newline; `cut` marks a part of an overlong line. */
export interface Line {
  bytes: Uint8Array;
  ended: boolean;
  cut: boolean;
}

/** The encodings of text that are read: UTF-8, and UTF-16 by its byte order mark. */
export type Encoding = "utf-8" | "utf-16le" | "utf-16be";

/** The encoding that a file's first bytes tell. Throws DataError for UTF-32. */
export function encodingOf(path: string): Encoding {
  const file = open(path);
  try {
    const head = Buffer.alloc(4);
    read(file, path, head, 0);
    const marks = head.toString("hex");
    if (marks === "fffe0000" || marks === "0000feff")
      throw new DataError(`${path}: expected UTF-8 or UTF-16, got UTF-32; save it as UTF-8`);
    return marks.startsWith("fffe") ? "utf-16le" : marks.startsWith("feff") ? "utf-16be" : "utf-8";
  } finally {
    closeSync(file);
  }
}

/** The lines of a whole UTF-16 file, in UTF-8. What is no UTF-16 becomes U+FFFD's bytes cut short, which no reader takes for UTF-8. */
function* readUtf16Lines(path: string, encoding: Encoding): Generator<Line[]> {
  const decoder = new TextDecoder(encoding, { ignoreBOM: false });
  const encoder = new TextEncoder();
  const file = open(path);
  try {
    const block = Buffer.alloc(BLOCK_BYTES);
    let rest = "";
    for (let at = 0; ; ) {
      const count = read(file, path, block, at);
      at += count;
      rest += decoder.decode(block.subarray(0, count), { stream: count > 0 });
      const pieces = rest.split("\n");
      rest = pieces.pop() ?? "";
      const line = (text: string, ended: boolean, cut = false): Line => ({
        bytes: text.includes("\ufffd") ? NO_UTF8 : encoder.encode(text),
        ended,
        cut,
      });
      const lines = pieces.map((text) => line(text, true));
      if (count === 0 && rest !== "") lines.push(line(rest, false));
      if (rest.length > MAX_LINE_BYTES) {
        lines.push(line(rest, false, true));
        rest = "";
      }
      if (lines.length > 0) yield lines;
      if (count === 0) return;
    }
  } finally {
    closeSync(file);
  }
}

const NO_UTF8 = Uint8Array.of(0xff);

/** The lines that begin in bytes `start` … `end`-1 of a file, one block of them at a time; reads past `end` to finish the last. */
export function* readLines(path: string, start: number, end: number): Generator<Line[]> {
  const encoding = start === 0 ? encodingOf(path) : "utf-8";
  if (encoding !== "utf-8") {
    yield* readUtf16Lines(path, encoding);
    return;
  }
  const file = open(path);
  try {
    let at = start;
    let rest: Uint8Array = new Uint8Array(0);
    let lineStart = start;
    // A unit that does not begin a file leaves its first, partial line to the unit before it.
    let skipping = start > 0;
    if (skipping) at = lineStart = start - 1;
    for (;;) {
      const block = Buffer.allocUnsafe(BLOCK_BYTES);
      const count = read(file, path, block, at);
      at += count;
      const lines: Line[] = [];
      let from = 0;
      while (from < count) {
        const newline = block.indexOf(NEWLINE, from);
        if (newline < 0 || newline >= count) break;
        const piece = block.subarray(from, newline);
        const bytes = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
        rest = new Uint8Array(0);
        if (!skipping) lines.push({ bytes, ended: true, cut: false });
        skipping = false;
        from = newline + 1;
        lineStart = at - count + from;
        if (lineStart >= end) {
          if (lines.length > 0) yield lines;
          return;
        }
      }
      if (from < count) rest = Buffer.concat([rest, block.subarray(from, count)]);
      if (rest.length > MAX_LINE_BYTES) {
        const whole = wholeCharacters(rest);
        if (!skipping) lines.push({ bytes: rest.subarray(0, whole), ended: false, cut: true });
        rest = rest.slice(whole);
      }
      if (count === 0) {
        if (rest.length > 0 && !skipping) lines.push({ bytes: rest, ended: false, cut: false });
        if (lines.length > 0) yield lines;
        return;
      }
      if (lines.length > 0) yield lines;
    }
  } finally {
    closeSync(file);
  }
}

/** The length without a character at the end whose bytes are not all there. */
function wholeCharacters(bytes: Uint8Array): number {
  let start = bytes.length - 1;
  while (start > bytes.length - 4 && start > 0 && (bytes[start]! & 0xc0) === 0x80) start--;
  return (bytes[start]! & 0xc0) === 0xc0 ? start : bytes.length;
}

/** How many newlines stand before byte `end`. */
export function linesBefore(path: string, end: number): number {
  const file = open(path);
  try {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    let lines = 0;
    for (let at = 0; at < end; ) {
      const count = Math.min(read(file, path, block, at), end - at);
      if (count === 0) break;
      for (let i = block.indexOf(NEWLINE); i >= 0 && i < count; i = block.indexOf(NEWLINE, i + 1)) lines++;
      at += count;
    }
    return lines;
  } finally {
    closeSync(file);
  }
}

const open = (path: string): number => openRegularSync(path, DataError).file;

function read(file: number, path: string, into: Buffer, at: number): number {
  try {
    return readSync(file, into, 0, into.length, at);
  } catch (error) {
    throw new DataError(`${path}: cannot be read at byte ${at}: ${(error as Error).message}`, { cause: error });
  }
}
