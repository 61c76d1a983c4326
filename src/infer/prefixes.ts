/** What prompts before began with: a tree of full blocks, so that a prompt that begins alike need not be read again. */
import type { Blocks } from "./blocks.ts";
import { BLOCK_TOKENS } from "./engine.ts";

interface Branch {
  readonly key: string;
  readonly parent: Branch | undefined;
  readonly block: number;
  readonly children: Map<string, Branch>;
}

/** Each block is found by the ids of its positions and all before them. The tree is a holder of its blocks; the longest unused leaf goes first. */
export class Prefixes {
  readonly #root = new Map<string, Branch>();
  /** By use, the longest ago first; children before their parents. */
  readonly #byUse = new Set<Branch>();

  constructor(private readonly blocks: Blocks) {}

  get size(): number {
    return this.#byUse.size;
  }

  /** The blocks that hold the first ids, at most as many as stand before the last id. The caller becomes a holder of each. */
  find(ids: readonly number[]): number[] {
    const path: Branch[] = [];
    let children = this.#root;
    for (let n = 0; (n + 1) * BLOCK_TOKENS < ids.length; n++) {
      const branch = children.get(keyOf(ids, n));
      if (branch === undefined) break;
      path.push(branch);
      children = branch.children;
    }
    this.#use(path);
    for (const { block } of path) this.blocks.share(block);
    return path.map(({ block }) => block);
  }

  /** Keeps the full blocks of ids that `table` holds. */
  add(ids: readonly number[], table: readonly number[]): void {
    const path: Branch[] = [];
    let children = this.#root;
    for (let n = 0; (n + 1) * BLOCK_TOKENS <= ids.length; n++) {
      const key = keyOf(ids, n);
      let branch = children.get(key);
      if (branch === undefined) {
        const block = table[n];
        if (block === undefined) break;
        this.blocks.keep(block);
        branch = { key, parent: path.at(-1), block, children: new Map() };
        children.set(key, branch);
      }
      path.push(branch);
      children = branch.children;
    }
    this.#use(path);
  }

  /** Lets go of the leaf that nobody else holds and that was used longest ago. False when there is none. */
  evict(): boolean {
    for (const branch of this.#byUse)
      if (branch.children.size === 0 && this.blocks.holders(branch.block) === 1) {
        this.#drop(branch);
        return true;
      }
    return false;
  }

  /** Forgets everything: the weights are others now. */
  clear(): void {
    for (const { block } of this.#byUse) this.blocks.unkeep(block);
    this.#byUse.clear();
    this.#root.clear();
  }

  #use(path: readonly Branch[]): void {
    for (let n = path.length - 1; n >= 0; n--) {
      const branch = path[n] as Branch;
      this.#byUse.delete(branch);
      this.#byUse.add(branch);
    }
  }

  #drop(branch: Branch): void {
    this.#byUse.delete(branch);
    (branch.parent?.children ?? this.#root).delete(branch.key);
    this.blocks.unkeep(branch.block);
  }
}

const keyOf = (ids: readonly number[], n: number): string => ids.slice(n * BLOCK_TOKENS, (n + 1) * BLOCK_TOKENS).join();
