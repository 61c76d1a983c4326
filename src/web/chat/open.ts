/** Files that a reader opens, read as chats. */
import { FileError, type FileFault, fromFile } from "./exchange.ts";
import type { Conversation } from "./types.ts";

const MAX_BYTES = 16 << 20;

export interface Opened {
  chats: Conversation[];
  faults: { name: string; fault: FileFault | "too-large" }[];
}

/** The chats of some files, and what was wrong with the others. */
export async function openFiles(files: readonly File[]): Promise<Opened> {
  const opened: Opened = { chats: [], faults: [] };
  for (const file of files) {
    const { name, size } = file;
    if (size > MAX_BYTES) opened.faults.push({ name, fault: "too-large" });
    else
      try {
        opened.chats.push(...fromFile(await textOf(file)));
      } catch (error) {
        opened.faults.push({ name, fault: error instanceof FileError ? error.fault : "not-text" });
      }
  }
  return opened;
}

/** A file's text. Throws FileError where it is not UTF-8, or holds bytes that no text has. */
export async function textOf(file: Blob): Promise<string> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (!text.includes("\0")) return text;
  } catch {
    // said below
  }
  throw new FileError("not-text");
}
