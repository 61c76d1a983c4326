/** Prompts beyond memory: their full blocks are kept in a store as they are read, and fetched from there while others go on. */
import {
  type BlockStore,
  type BlockStoreOptions,
  chainOf,
  digest,
  openBlockStore,
  type PlacedKey,
} from "../checkpoint/index.ts";
import { ConfigError } from "../errors.ts";
import { BLOCK_TOKENS, type LanguageModel, type StoredBlocks } from "./engine.ts";
import type { Sequence } from "./sequence.ts";

/** Moves when what a block holds, or how it is read, changes. */
const FORMAT = "sumbi prompts 1";

/** Blocks that are fetched at once; the first comes by itself, since most prompts are new. */
const FETCHED = 32;

/** What came for a sequence. */
export interface Fetched {
  one: Sequence;
  blocks: Uint8Array<ArrayBuffer>[];
  /** Whether more may be there. */
  more: boolean;
}

/** Which sequences wait for what, and the keys of their blocks. The engine says when, and finds places in memory. */
export class StoredPrompts {
  readonly #keys = new WeakMap<Sequence, PlacedKey[]>();
  /** What each sequence waits for; what comes after it was sent back is another's. */
  readonly #waits = new Map<Sequence, symbol>();
  #come: Fetched[] = [];

  private constructor(
    private readonly store: BlockStore,
    private readonly blocks: StoredBlocks,
    private readonly root: string,
  ) {}

  /** Throws ConfigError for a model that cannot say what its blocks hold, DiskError for a folder that cannot be written. */
  static async open(model: LanguageModel, options: BlockStoreOptions): Promise<StoredPrompts> {
    const { stored, blockBytes } = model;
    if (stored === undefined)
      throw new ConfigError(
        "prefix cache: expected a model that was opened with `identify`, got one whose weights are not known",
      );
    if (options.bytes < 2 * blockBytes)
      throw new ConfigError(
        `prefix cache: expected room for at least two blocks of ${BLOCK_TOKENS} tokens, ${2 * blockBytes} bytes, got ${options.bytes}`,
      );
    const root = digest(FORMAT, String(BLOCK_TOKENS), String(blockBytes), await stored.identity());
    return new StoredPrompts(await openBlockStore(options), stored, root);
  }

  /** Looks for the blocks of a prompt that follow those which the sequence holds; `wake` is called when they have come. */
  fetch(one: Sequence, wake: () => void, count = 1): void {
    const from = one.table.length;
    // the last id is read in any case
    const most = Math.floor((one.promptLength - 1) / BLOCK_TOKENS);
    const keys = this.#keysOf(one).slice(from, Math.min(from + count, most));
    if (keys.length === 0) return this.forget(one);
    const wait = Symbol();
    this.#waits.set(one, wait);
    one.fetching = true;
    void this.store.read(keys, this.blocks.bytes).then((blocks) => {
      if (this.#waits.get(one) !== wait) return;
      this.#come.push({ one, blocks, more: blocks.length === keys.length });
      wake();
    });
  }

  /** What has come since. */
  take(): Fetched[] {
    const come = this.#come;
    this.#come = [];
    return come;
  }

  /** Goes on with the blocks after those that came, or with reading. */
  next({ one, more }: Fetched, wake: () => void): void {
    if (more) this.fetch(one, wake, FETCHED);
    else this.forget(one);
  }

  /** A sequence reads from here on, or is no more. */
  forget(one: Sequence): void {
    this.#waits.delete(one);
    this.#come = this.#come.filter((fetched) => fetched.one !== one);
    one.fetching = false;
  }

  /** Keeps the full blocks of a prompt that were read. */
  keep(one: Sequence): void {
    const full = Math.floor(Math.min(one.length, one.promptLength) / BLOCK_TOKENS);
    for (const key of this.#keysOf(one).slice(0, full)) {
      const block = one.table[key.depth];
      if (block !== undefined) this.store.keep(key, () => this.blocks.read(block));
    }
  }

  close(): Promise<void> {
    return this.store.close();
  }

  #keysOf(one: Sequence): PlacedKey[] {
    let keys = this.#keys.get(one);
    if (keys === undefined) this.#keys.set(one, (keys = chainOf(this.root, one.request.prompt, BLOCK_TOKENS)));
    return keys;
  }
}
