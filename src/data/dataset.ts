/** A data set on disk, opened and read by window. */
import { createHash } from "node:crypto";
import { closeSync, lstatSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { openRegularSync, readRegularFile } from "../checkpoint/index.ts";
import { ConfigError, DataError } from "../errors.ts";
import { parseJson } from "../json.ts";
import { validate } from "../validate.ts";
import { fillInMiddle } from "./fim.ts";
import { mix, permute } from "./random.ts";
import { type Shard, type Split, unpackTokens } from "./shards.ts";

export const DATASET_FILE = "dataset.json";

/** Changes when the same tokens would be written otherwise. */
export const FORMAT = 4;
const JSON_BYTES_MAX = 256 << 20;

const hex = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hex");
const id = z.number().int().nonnegative();
const shardSchema = z.object({
  file: z.string().regex(/^[\w-]+\.bin$/, "expected a shard's file name"),
  tokens: z.number().int().positive(),
  chat: z.boolean(),
  sha256: hex,
});

/** dataset.json: what the shards of a folder are. Nothing else stands in it: the same tokens are the same folder, whatever texts they came from. */
const datasetSchema = z.object({
  format: z.literal(FORMAT),
  /** Of all the rest. */
  hash: hex,
  vocabSize: z
    .number()
    .int()
    .positive()
    .max(2 ** 31),
  tokenType: z.enum(["u16", "u32"]),
  special: z.object({ bos: id.nullable(), eos: id.nullable(), fim: z.tuple([id, id, id]).nullable() }),
  splits: z.object({ train: z.array(shardSchema), heldout: z.array(shardSchema) }),
});
export type DatasetJson = z.infer<typeof datasetSchema>;

/** The hash of a data set: of its shards' hashes and all that is needed to read them. */
export function contentHash({ format, vocabSize, tokenType, special, splits }: Omit<DatasetJson, "hash">): string {
  const shards = (split: Split) => splits[split].map(({ file, tokens, chat, sha256 }) => [file, tokens, chat, sha256]);
  const { bos, eos, fim } = special;
  return createHash("sha256")
    .update(JSON.stringify([format, vocabSize, tokenType, bos, eos, fim, shards("train"), shards("heldout")]))
    .digest("hex");
}

export interface BatchRequest {
  split: Split;
  /** Which batch; its first sequence is number `index * batch`. */
  index?: number;
  /** Instead of `index`: the number of its first sequence, for batch sizes that change. */
  first?: number;
  batch: number;
  sequence: number;
  /** Tokens after the sequence: 1 for the next-token targets, and one for each MTP depth. Default 1. */
  extra?: number;
  seed?: number;
  /** Share of the documents to cut for fill-in-the-middle. Default 0. */
  fimRate?: number;
}

/** Open files at most; the operating system caches what was read. */
const MAX_OPEN_FILES = 64;

/** Opens what prepareData made. Throws DataError if files are missing, cut short or of another kind. */
export function openDataset(dir: string): Dataset {
  const path = join(dir, DATASET_FILE);
  const json = validate(datasetSchema, readJson(path), path, (message) => new DataError(message));
  const hash = contentHash(json);
  if (json.hash !== hash) throw new DataError(`${path}: hash: is not that of the rest of the file`);
  const bytesPerToken = json.tokenType === "u16" ? 2 : 4;
  for (const { file, tokens } of [...json.splits.train, ...json.splits.heldout]) {
    const size = statSync(join(dir, file), { throwIfNoEntry: false })?.size;
    if (size !== tokens * bytesPerToken)
      throw new DataError(
        `${join(dir, file)}: expected ${tokens * bytesPerToken} bytes, ${size === undefined ? "the file is missing" : `got ${size}`}`,
      );
  }
  return new Dataset(dir, json);
}

function readJson(path: string): unknown {
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
      throw new DataError(`${path}: expected a data set's ${DATASET_FILE}, found none`);
    return parseJson(readRegularFile(path, JSON_BYTES_MAX, DataError).toString("utf8"));
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${path}: expected JSON, got ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Token shards on disk, read by window (pread: Node has no mmap; the operating system's page cache does the rest). All
 * documents of a split stand one after the other, each ended by EOS; a sequence is a window of that stream, so documents
 * are packed without padding and without a mask between them.
 */
export class Dataset {
  private readonly starts: Record<Split, number[]>;
  private readonly totals: Record<Split, number>;
  private readonly files = new Map<string, number>();
  private scratch = Buffer.allocUnsafe(1 << 16);

  constructor(
    readonly dir: string,
    readonly json: DatasetJson,
  ) {
    const startsOf = (shards: Shard[]) => {
      let at = 0;
      return shards.map((shard) => (at += shard.tokens) - shard.tokens);
    };
    const total = (shards: Shard[]) => shards.reduce((sum, shard) => sum + shard.tokens, 0);
    const { train, heldout } = json.splits;
    this.starts = { train: startsOf(train), heldout: startsOf(heldout) };
    this.totals = { train: total(train), heldout: total(heldout) };
  }

  get vocabSize(): number {
    return this.json.vocabSize;
  }

  /** How many tokens a split has. */
  tokens(split: Split): number {
    return this.totals[split];
  }

  /** How many sequences of this length make one epoch. */
  sequences(split: Split, sequence: number): number {
    return Math.max(1, Math.floor(this.totals[split] / sequence));
  }

  /**
   * ids [batch, sequence + extra] (~id: read, not trained), a pure function of its arguments: sequence number i is window i mod n of epoch ⌊i / n⌋.
   * "train": each epoch cuts the stream at another offset and takes the windows in another order, both drawn by the seed;
   * every token comes about once an epoch. "heldout": the windows in order. Throws ConfigError, DataError (empty split).
   */
  batch(request: BatchRequest): Int32Array {
    const { split, batch, sequence, extra = 1, seed = 0, fimRate = 0 } = request;
    const first = request.first ?? (request.index ?? 0) * batch;
    for (const [name, value, least] of [
      ["batch", batch, 1],
      ["sequence", sequence, 1],
      ["extra", extra, 0],
      ["first", first, 0],
    ] as const)
      if (!Number.isSafeInteger(value) || value < least)
        throw new ConfigError(`data: expected ${name} to be a whole number from ${least}, got ${value}`);
    if (!(fimRate >= 0 && fimRate <= 1)) throw new ConfigError(`data: expected fimRate from 0 to 1, got ${fimRate}`);
    const total = this.totals[split];
    if (total === undefined || total === 0) throw new DataError(`${this.dir}: the split ${split} has no tokens`);
    const { bos, eos, fim } = this.json.special;
    if (fimRate > 0 && fim === null)
      throw new ConfigError(`${this.dir}: fimRate ${fimRate} needs a tokenizer with <｜fim▁…｜> tokens`);
    const width = sequence + extra;
    const ids = new Int32Array(batch * width);
    const windows = this.sequences(split, sequence);
    for (let row = 0; row < batch; row++) {
      const number = first + row;
      const epoch = Math.floor(number / windows);
      const epochSeed = mix(seed, epoch);
      const window = split === "train" ? permute(number % windows, windows, epochSeed) : number % windows;
      const shift = split === "train" ? Math.floor((mix(epochSeed, 0x5417) / 2 ** 32) * total) : 0;
      const start = (shift + window * sequence) % total;
      const out = ids.subarray(row * width, (row + 1) * width);
      this.read(split, start, out);
      if (fimRate > 0)
        fillInMiddle(
          out,
          { bos, eos, fim: fim! },
          fimRate,
          epochSeed,
          (i) => (start + i) % total,
          (at) => !this.json.splits[split][this.shardAt(split, at)]!.chat,
        );
    }
    return ids;
  }

  /** Fills `out` with the stream's tokens from `start`, ~id where one is read and not trained; after the last token comes the first. */
  read(split: Split, start: number, out: Int32Array): void {
    const total = this.totals[split];
    for (let at = start % total, done = 0; done < out.length; ) {
      const index = this.shardAt(split, at);
      const shard = this.json.splits[split][index]!;
      const offset = at - this.starts[split][index]!;
      const count = Math.min(out.length - done, shard.tokens - offset);
      this.readShard(shard, offset, out.subarray(done, done + count));
      done += count;
      at = (at + count) % total;
    }
  }

  close(): void {
    for (const file of this.files.values()) closeSync(file);
    this.files.clear();
  }

  private shardAt(split: Split, position: number): number {
    const starts = this.starts[split];
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private readShard(shard: Shard, offset: number, out: Int32Array): void {
    const each = this.json.tokenType === "u16" ? 2 : 4;
    const bytes = out.length * each;
    if (this.scratch.length < bytes) this.scratch = Buffer.allocUnsafe(bytes);
    const path = join(this.dir, shard.file);
    for (let at = 0; at < bytes; ) {
      const count = readSync(this.open(path), this.scratch, at, bytes - at, offset * each + at);
      if (count === 0) throw new DataError(`${path}: expected ${shard.tokens * each} bytes, the file ends early`);
      at += count;
    }
    const view =
      each === 2
        ? new Uint16Array(this.scratch.buffer, this.scratch.byteOffset, out.length)
        : new Uint32Array(this.scratch.buffer, this.scratch.byteOffset, out.length);
    unpackTokens(view, out);
    const limit = this.json.vocabSize;
    for (const [i, id] of out.entries())
      if (id >= limit || id < -limit)
        throw new DataError(`${path}: token ${offset + i}: expected an id below ${limit}, got ${id < 0 ? ~id : id}`);
  }

  private open(path: string): number {
    let file = this.files.get(path);
    if (file === undefined) {
      if (this.files.size >= MAX_OPEN_FILES) {
        const [oldest, handle] = this.files.entries().next().value!;
        closeSync(handle);
        this.files.delete(oldest);
      }
      ({ file } = openRegularSync(path, DataError));
    } else this.files.delete(path);
    this.files.set(path, file);
    return file;
  }
}
