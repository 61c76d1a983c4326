/** Whole lines of a file as they are appended. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { kindOf } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";

/** Little enough that others have their turn while its lines are parsed. */
const READ_BYTES = 1 << 18;
const NEWLINE = 0x0a;

/** A longer line is passed over: no record is nearly as long, and memory stays bounded whatever the file holds. */
export const LINE_BYTES_MAX = 1 << 20;

/**
 * Reads whole lines as they are appended to a file. A last line without its newline is read again next time, since a
 * resumed writer cuts a half-written one off and writes another in its place.
 */
export class LineTail {
  /** Where the first line not yet seen begins. */
  #position = 0;
  /** The file when it was last read to its end; an unchanged one is not read again. */
  #seen = { size: -1, mtimeMs: -1 };

  constructor(readonly path: string) {}

  /**
   * Calls `onLine` for every line that is new since the last call; with undefined for one that is too long. A missing file has none.
   * With `part`, for those that end in the first piece of the file in which one does. Says whether more lies ahead.
   */
  async read(onLine: (line: string | undefined) => void, part = false): Promise<boolean> {
    const handle = await open(this.path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      },
    );
    if (!handle) return false;
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw new CheckpointError(`${this.path}: expected a file, found ${kindOf(found)}`);
      const { size, mtimeMs } = found;
      if (size <= this.#position || (size === this.#seen.size && mtimeMs === this.#seen.mtimeMs)) return false;
      const chunk = Buffer.alloc(Math.min(READ_BYTES, size - this.#position));
      // The beginning of a line whose end has not come yet.
      let held: Buffer[] = [];
      let heldBytes = 0;
      for (let at = this.#position; at < size; ) {
        const { bytesRead } = await handle.read(chunk, 0, Math.min(chunk.length, size - at), at);
        if (bytesRead === 0) return false;
        const fresh = chunk.subarray(0, bytesRead);
        let begin = 0;
        for (let end = fresh.indexOf(NEWLINE); end >= 0; end = fresh.indexOf(NEWLINE, begin)) {
          const piece = fresh.subarray(begin, end);
          const tooLong = heldBytes + piece.length > LINE_BYTES_MAX;
          onLine(tooLong ? undefined : held.length > 0 ? Buffer.concat([...held, piece]).toString() : piece.toString());
          held = [];
          heldBytes = 0;
          begin = end + 1;
          this.#position = at + begin;
        }
        heldBytes += bytesRead - begin;
        if (heldBytes <= LINE_BYTES_MAX) held.push(Buffer.from(fresh.subarray(begin)));
        else held = [];
        at += bytesRead;
        if (part && begin > 0 && at < size) return true;
      }
      this.#seen = { size, mtimeMs };
      return false;
    } finally {
      await handle.close();
    }
  }
}
