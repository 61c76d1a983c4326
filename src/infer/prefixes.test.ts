/** Blocks and the tree of prefixes: whoever comes, forks, writes and leaves, no block is lost, given twice or written by two. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Blocks } from "./blocks.ts";
import { Prefixes } from "./prefixes.ts";

const ids = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);

describe("blocks", () => {
  test("room is asked for as it is needed, and blocks come in a row", () => {
    const asked: number[] = [];
    const blocks = new Blocks(40, (count) => asked.push(count));
    let last = 0;
    for (let n = 1; n <= 40; n++) expect((last = blocks.take(last) ?? 0)).toBe(n);
    expect(asked).toEqual([16, 32, 40]);
    expect(blocks.take(last)).toBeUndefined();
    blocks.release(7);
    expect(blocks.take(last)).toBe(7);
  });

  test("one that begins anew looks for as many free ones as it will need", () => {
    const blocks = new Blocks(16);
    for (let n = 0; n < 16; n++) blocks.take();
    for (const block of [2, 5, 6, 7, 12]) blocks.release(block);
    expect(blocks.take(0, 3)).toBe(5);
    expect(blocks.take(5, 3)).toBe(6);
  });

  test("what nobody holds cannot be shared or given back", () => {
    const blocks = new Blocks(4);
    expect(() => blocks.share(1)).toThrow("expected block 1 to have a holder");
    const block = blocks.take() ?? 0;
    blocks.release(block);
    expect(() => blocks.release(block)).toThrow(/holder/);
  });
});

describe("the tree", () => {
  test("finds what begins alike, in whole blocks, and leaves at least the last id to be read", () => {
    const blocks = new Blocks(100);
    const tree = new Prefixes(blocks);
    const table = [1, 2, 3].map(() => blocks.take() ?? 0);
    tree.add(ids(40), table);
    expect(tree.size).toBe(2);
    expect(tree.find(ids(40))).toEqual(table.slice(0, 2));
    expect(tree.find(ids(33))).toEqual(table.slice(0, 2));
    expect(tree.find(ids(32))).toEqual(table.slice(0, 1));
    expect(tree.find([...ids(20), 7, 7, ...ids(20)])).toEqual(table.slice(0, 1));
    expect(tree.find(ids(40, 1))).toEqual([]);
    expect(blocks.holders(table[0] ?? 0)).toBe(6);
  });

  test("the leaf longest unused goes first, and none that somebody holds", () => {
    const blocks = new Blocks(100);
    const tree = new Prefixes(blocks);
    const add = (list: number[]) => {
      const table = Array.from({ length: Math.floor(list.length / 16) }, () => blocks.take() ?? 0);
      tree.add(list, table);
      for (const block of table) blocks.release(block);
      return table;
    };
    const [a, b] = [add(ids(32)), add(ids(32, 100))];
    expect(blocks.idle).toBe(4);
    const held = tree.find(ids(33));
    expect(held).toEqual(a);
    expect(blocks.idle).toBe(2);
    expect([tree.evict(), tree.evict(), tree.evict()]).toEqual([true, true, false]);
    expect(b.map((block) => blocks.holders(block))).toEqual([0, 0]);
    for (const block of held) blocks.release(block);
    expect([tree.evict(), tree.evict(), tree.evict()]).toEqual([true, true, false]);
    expect([blocks.used, blocks.idle, tree.size]).toEqual([0, 0, 0]);
  });
});

test("counts hold over any coming, forking, remembering, forgetting and leaving", () => {
  const act = fc.record({
    what: fc.constantFrom("come", "grow", "fork", "remember", "leave", "evict", "clear"),
    which: fc.nat(20),
    alphabet: fc.nat(1),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 120 }), fc.integer({ min: 4, max: 24 }), (acts, most) => {
      const blocks = new Blocks(most);
      const tree = new Prefixes(blocks);
      const tables: { ids: number[]; table: number[] }[] = [];
      const take = (after?: number): number | undefined => {
        for (;;) {
          const block = blocks.take(after);
          if (block !== undefined || !tree.evict()) return block;
        }
      };
      for (const { what, which, alphabet } of acts) {
        const one = tables[which % Math.max(1, tables.length)];
        if (what === "come") {
          const list = ids(48, alphabet);
          tables.push({ ids: list, table: tree.find(list) });
        } else if (what === "grow" && one && one.table.length < 3) {
          const block = take(one.table.at(-1));
          if (block !== undefined) {
            expect(blocks.holders(block)).toBe(1);
            expect(tables.every(({ table }) => !table.includes(block))).toBe(true);
            one.table.push(block);
          }
        } else if (what === "fork" && one) {
          for (const block of one.table) blocks.share(block);
          tables.push({ ids: one.ids, table: [...one.table] });
        } else if (what === "remember" && one) tree.add(one.ids.slice(0, 16 * one.table.length), one.table);
        else if (what === "leave" && one) {
          tables.splice(tables.indexOf(one), 1);
          for (const block of one.table) blocks.release(block);
        } else if (what === "evict") tree.evict();
        else if (what === "clear") tree.clear();
        const held = new Set(tables.flatMap(({ table }) => table));
        expect(blocks.used - blocks.idle).toBe(held.size);
        expect(blocks.used).toBeLessThanOrEqual(most);
      }
      for (const { table } of tables) for (const block of table) blocks.release(block);
      expect(blocks.used).toBe(tree.size);
      tree.clear();
      expect([blocks.used, blocks.idle]).toEqual([0, 0]);
    }),
    { numRuns: 200 },
  );
});
