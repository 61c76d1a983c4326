/** Blocks of bytes kept in a folder, read and written in a thread of their own; and the keys that they are found by. */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { threadUrl } from "../thread.ts";
import type { BlockAnswer, BlockJob, PlacedKey } from "./blockFolderThread.ts";
import { removeLeftovers } from "./leftovers.ts";
import { checkWritable } from "./writable.ts";

export type { PlacedKey };

/** Keeps blocks by key. What it cannot read is not there, what it cannot write is not kept: a cache that fails costs time only. */
export interface BlockStore {
  /** Blocks of so many bytes by their keys, up to the first that is missing or damaged. */
  read(keys: readonly PlacedKey[], length: number): Promise<Uint8Array<ArrayBuffer>[]>;
  /** Keeps a block, or says that it is in use. `bytes` is asked for where it is not known to be there, and given away. */
  keep(key: PlacedKey, bytes: () => Uint8Array<ArrayBuffer>): void;
  /** Resolves when all that was to be kept is. */
  close(): Promise<void>;
}

export interface BlockStoreOptions {
  dir: string;
  /** All files of the folder that are blocks take at most so many bytes. */
  bytes: number;
  /** Told when the disk begins to refuse. */
  onFault?: (message: string) => void;
}

/** A digest by which blocks or what made them are told apart, 32 hexadecimal digits. */
export const digest = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, 32);
};

/** Keys of the full blocks of `size` ids: each says what the ids up to its end are, and what `root` is. */
export function chainOf(root: string, ids: readonly number[], size: number): PlacedKey[] {
  const keys: PlacedKey[] = [];
  for (let depth = 0, before = root; (depth + 1) * size <= ids.length; depth++) {
    const own = Uint32Array.from(ids.slice(depth * size, (depth + 1) * size));
    keys.push({ key: (before = digest(before, new Uint8Array(own.buffer))), depth });
  }
  return keys;
}

/** Opens a folder, which is made where it is missing. Throws DiskError where nothing can be written there. */
export async function openBlockStore({ dir, bytes, onFault }: BlockStoreOptions): Promise<BlockStore> {
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch(() => {});
  await checkWritable(dir, dir);
  await removeLeftovers(dir);
  return new ThreadStore(
    new Worker(threadUrl(import.meta.url, "blockFolderThread"), { workerData: { dir, most: bytes } }),
    onFault,
  );
}

/** Bytes that may wait to be written; what comes beyond is not kept. */
const WAITING_BYTES = 64 << 20;
/** How long a block is taken to be in use, and a disk to refuse, without asking again. */
const KNOWN_MS = 60_000;
const KNOWN_KEYS = 1 << 17;

class ThreadStore implements BlockStore {
  /** Keys that are there, by when that was said last. */
  readonly #known = new Map<string, number>();
  readonly #reading = new Map<number, (blocks: Uint8Array<ArrayBuffer>[]) => void>();
  readonly #ended: Promise<void>;
  #number = 0;
  #waiting = 0;
  #refusedUntil = 0;
  #over = false;

  constructor(
    private readonly thread: Worker,
    private readonly onFault: (message: string) => void = () => {},
  ) {
    thread.unref();
    thread.on("message", (answer: BlockAnswer) => this.#take(answer));
    thread.on("error", (error: Error) => this.onFault(error.message));
    this.#ended = new Promise((resolve) =>
      thread.on("exit", () => {
        this.#over = true;
        for (const settle of this.#reading.values()) settle([]);
        this.#reading.clear();
        resolve();
      }),
    );
  }

  async read(keys: readonly PlacedKey[], length: number): Promise<Uint8Array<ArrayBuffer>[]> {
    if (this.#over || keys.length === 0) return [];
    const number = this.#number++;
    const blocks = await new Promise<Uint8Array<ArrayBuffer>[]>((resolve) => {
      this.#reading.set(number, resolve);
      this.#post({ job: "read", number, keys: [...keys], length });
    });
    for (const [i, { key }] of keys.entries()) {
      if (i < blocks.length) this.#know(key);
      else this.#known.delete(key);
    }
    return blocks;
  }

  keep({ key, depth }: PlacedKey, bytes: () => Uint8Array<ArrayBuffer>): void {
    const now = Date.now();
    const said = this.#known.get(key);
    if (this.#over || now < this.#refusedUntil || (said !== undefined && now - said < KNOWN_MS)) return;
    if (said !== undefined) {
      this.#know(key);
      return this.#post({ job: "touch", key, depth });
    }
    if (this.#waiting >= WAITING_BYTES) return;
    const own = bytes();
    this.#waiting += own.length;
    this.#know(key);
    this.#post({ job: "write", key, depth, bytes: own }, [own.buffer]);
  }

  async close(): Promise<void> {
    if (!this.#over) this.#post({ job: "close" });
    this.thread.ref();
    await this.#ended;
  }

  #post(job: BlockJob, given: ArrayBuffer[] = []): void {
    this.thread.postMessage(job, given);
  }

  #know(key: string): void {
    if (this.#known.size >= KNOWN_KEYS) this.#known.clear();
    this.#known.set(key, Date.now());
  }

  #take(answer: BlockAnswer): void {
    if (answer.job === "read") {
      this.#reading.get(answer.number)?.(answer.blocks);
      this.#reading.delete(answer.number);
    } else {
      this.#waiting -= answer.bytes;
      if (!answer.there) this.#known.delete(answer.key);
    }
    if (answer.fault === undefined) return;
    if (Date.now() >= this.#refusedUntil) this.onFault(answer.fault);
    this.#refusedUntil = Date.now() + KNOWN_MS;
  }
}
