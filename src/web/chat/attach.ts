/** Text files that a question takes along. */
import { FileError, type FileFault } from "./exchange.ts";
import { textOf } from "./open.ts";
import type { Attachment } from "./types.ts";

/** Of one file, and of all of a question: chats live in the browser's storage, which holds some 5 MB. */
export const MAX_FILE_BYTES = 256_000;
const MAX_ALL_BYTES = 512_000;

export type AttachFault = FileFault | "too-large" | "too-much";

/** Reads text files beside those that are there; what is too large is not read. Files are read while the page goes on. */
export async function attach(
  files: readonly File[],
  there: readonly Attachment[],
): Promise<{ files: Attachment[]; faults: { name: string; fault: AttachFault }[] }> {
  const read: Attachment[] = [];
  const faults: { name: string; fault: AttachFault }[] = [];
  let bytes = there.reduce((sum, { text }) => sum + text.length, 0);
  for (const file of files) {
    const { name, size } = file;
    if (size > MAX_FILE_BYTES) faults.push({ name, fault: "too-large" });
    else if (bytes + size > MAX_ALL_BYTES) faults.push({ name, fault: "too-much" });
    else
      try {
        read.push({ name, text: (await textOf(file)).replaceAll("\r\n", "\n") });
        bytes += size;
      } catch (error) {
        faults.push({ name, fault: error instanceof FileError ? error.fault : "not-text" });
      }
  }
  return { files: read, faults };
}
