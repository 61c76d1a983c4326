/** Shards of tokens on disk: how a token is stored, and the writer. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

export type Split = "train" | "heldout";

/** A file of token ids, one after the other, little-endian; the highest bit is set for tokens that are read and not trained. */
export interface Shard {
  file: string;
  tokens: number;
  /** Conversations: no FIM there. */
  chat: boolean;
  /** Of the file's bytes. */
  sha256: string;
}

export type TokenType = "u16" | "u32";

/** The smallest type that holds every id and the bit. */
export const tokenTypeOf = (vocabSize: number): TokenType => (vocabSize <= 0x8000 ? "u16" : "u32");

/** Token ids as a shard's file holds them -> ids, ~id where a token is read and not trained. */
export function unpackTokens(from: Uint16Array | Uint32Array, out: Int32Array): void {
  if (from instanceof Uint16Array)
    for (let i = 0; i < out.length; i++) out[i] = from[i]! & 0x8000 ? ~(from[i]! & 0x7fff) : from[i]!;
  else for (let i = 0; i < out.length; i++) out[i] = from[i]! >>> 31 ? ~(from[i]! & 0x7fffffff) : from[i]!;
}

const BUFFER_TOKENS = 1 << 18;

/** Writes one shard through a buffer; no file appears unless there is a token. */
export class ShardWriter {
  tokens = 0;
  private readonly buffer: Uint16Array | Uint32Array;
  private used = 0;
  private file: number | undefined;
  private readonly hash = createHash("sha256");

  constructor(
    private readonly dir: string,
    readonly name: string,
    readonly chat: boolean,
    type: TokenType,
  ) {
    this.buffer = type === "u16" ? new Uint16Array(BUFFER_TOKENS) : new Uint32Array(BUFFER_TOKENS);
  }

  /** Appends a token: its id, or ~id if it is read and not trained. */
  push(id: number): void {
    if (this.used === BUFFER_TOKENS) this.write();
    this.buffer[this.used++] = id < 0 ? ~id | (this.buffer instanceof Uint16Array ? 0x8000 : 0x80000000) : id;
    this.tokens++;
  }

  private write(): void {
    if (this.used === 0) return;
    this.file ??= openSync(join(this.dir, this.name), "wx");
    const bytes = new Uint8Array(this.buffer.buffer, 0, this.used * this.buffer.BYTES_PER_ELEMENT);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at);
    this.hash.update(bytes);
    this.used = 0;
  }

  close(): Shard {
    this.write();
    if (this.file !== undefined) fsyncSync(this.file);
    this.discard();
    return { file: this.name, tokens: this.tokens, chat: this.chat, sha256: this.hash.digest("hex") };
  }

  /** Lets go of the file, whatever it holds. */
  discard(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }
}
