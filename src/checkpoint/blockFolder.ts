/** A folder of blocks of bytes by key: bounded, checked, shared by any number of processes; what was used longest ago goes first. */
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { isMissing } from "./atomic.ts";
import { release, temporaryIn } from "./leftovers.ts";

/*
 * A block is a file `<key>-<seal>.kv`: MAGIC, the checksum (CRC-32, u32) of all that follows, the length of the block (u32), the key in bytes, the block.
 * The seal is made of the key, so that no file of a person's has such a name: whatever it holds, damaged or cut off, it is ours to replace.
 * A file's time is when it was used last, less BEFORE_MS for each block before it: of a prompt, written in one go, the end goes before the beginning.
 */
const MAGIC = Buffer.from("sumbikv1");
const NAME = /^([0-9a-f]{32})-([0-9a-f]{8})\.kv$/;
const HEADER = MAGIC.length + 8 + 16;

const sealOf = (key: string): string => createHash("sha256").update(`sumbi block ${key}`).digest("hex").slice(0, 8);
const nameOf = (key: string): string => `${key}-${sealOf(key)}.kv`;

/** Whether a name is that of a block. */
export function isBlockName(name: string): boolean {
  const [, key, seal] = NAME.exec(name) ?? [];
  return key !== undefined && sealOf(key) === seal;
}

/** One process's hold on such a folder. Every call reads or writes at once: it belongs in a thread of its own. */
export class BlockFolder {
  /** Bytes of blocks there when it was looked through last, and those written since. */
  #bytes = Infinity;
  #written = 0;

  /** `most`: bytes that all blocks may take, their headers included. */
  constructor(
    readonly dir: string,
    readonly most: number,
  ) {}

  /** A block of that length, undefined where there is none or what is there is damaged. `depth`: blocks before it. */
  read(key: string, length: number, depth: number): Uint8Array<ArrayBuffer> | undefined {
    const file = this.#whole(join(this.dir, nameOf(key)), HEADER + length);
    if (file?.length !== HEADER + length || !file.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
    const view = new DataView(file.buffer, file.byteOffset + MAGIC.length);
    const body = file.subarray(MAGIC.length + 4);
    if (view.getUint32(0, true) !== crc32(body) || view.getUint32(4, true) !== length) return undefined;
    if (body.subarray(4, 20).toString("hex") !== key) return undefined;
    this.touch(key, depth);
    return Uint8Array.from(file.subarray(HEADER));
  }

  /** Says that a block is in use; false where it is not there any more. */
  touch(key: string, depth: number): boolean {
    const time = usedAt(depth);
    try {
      utimesSync(join(this.dir, nameOf(key)), time, time);
      return true;
    } catch (error) {
      // what may not be touched is there all the same
      return !isMissing(error);
    }
  }

  /** Keeps a block, in place of whatever file of that name there is. False where it is larger than all may be, or no file stands in its place. */
  write(key: string, block: Uint8Array, depth: number): boolean {
    const size = HEADER + block.length;
    const path = join(this.dir, nameOf(key));
    if (size > this.most || this.#isOther(path)) return false;
    if (this.#bytes + size > this.most || this.#written > this.most / RELISTED) this.#makeRoom(size);
    const header = Buffer.alloc(HEADER);
    MAGIC.copy(header);
    header.writeUInt32LE(block.length, MAGIC.length + 4);
    header.write(key, MAGIC.length + 8, "hex");
    header.writeUInt32LE(crc32(block, crc32(header.subarray(MAGIC.length + 4))), MAGIC.length);
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    const temporary = temporaryIn(this.dir);
    const time = usedAt(depth);
    try {
      // no fsync: what a power cut leaves unfinished has another checksum
      writeFileSync(temporary, Buffer.concat([header, block]), { flag: "wx", mode: 0o600 });
      utimesSync(temporary, time, time);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      release(temporary);
    }
    this.#bytes += size;
    this.#written += size;
    return true;
  }

  /** Looks through the folder, where others may have written too, and removes blocks, the longest unused first, until `size` bytes have room. */
  #makeRoom(size: number): void {
    const blocks = this.#list().sort((a, b) => a.time - b.time);
    let bytes = blocks.reduce((sum, block) => sum + block.size, 0);
    // some more than is needed, so that this is not to be done for every block
    const most = bytes + size > this.most ? Math.max(0, this.most - this.most / RELISTED - size) : this.most;
    for (const block of blocks) {
      if (bytes <= most) break;
      rmSync(join(this.dir, block.name), { force: true });
      bytes -= block.size;
    }
    this.#bytes = bytes;
    this.#written = 0;
  }

  #list(): { name: string; size: number; time: number }[] {
    let names: string[];
    try {
      names = readdirSync(this.dir).filter(isBlockName);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
    return names.flatMap((name) => {
      const about = lstatSync(join(this.dir, name), { throwIfNoEntry: false });
      return about?.isFile() ? [{ name, size: about.size, time: about.mtimeMs }] : [];
    });
  }

  /** A file of that size; undefined for anything else, also where another process removes it meanwhile. */
  #whole(path: string, size: number): Buffer | undefined {
    const about = lstatSync(path, { throwIfNoEntry: false });
    if (!about?.isFile() || about.size !== size) return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** A link, a folder: nothing that we wrote. */
  #isOther(path: string): boolean {
    return lstatSync(path, { throwIfNoEntry: false })?.isFile() === false;
  }
}

/** A folder is looked through again after this share of its bounds was written: how far two processes can overshoot it. */
const RELISTED = 16;

/** Longer than a block takes to be written. */
const BEFORE_MS = 20;

const usedAt = (depth: number): Date => new Date(Date.now() - BEFORE_MS * depth);
