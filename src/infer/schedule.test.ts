/** The schedule by its properties: nobody starves, budgets are kept, places are shared. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { admit, passes, type Running, schedule, type Waiting } from "./schedule.ts";

const BLOCK = 16;
const blocksFor = (positions: number): number => Math.ceil(positions / BLOCK);

interface One extends Waiting {
  id: number;
  prompt: number;
  tokens: number;
}

/** A world without a model: sequences with prompts and answers of given lengths, run by the schedule alone. */
class World {
  waiting: One[] = [];
  running: (Running & { one: One; turn: number })[] = [];
  done: number[] = [];
  steps = 0;
  clock = 0;
  readonly turns = new Map<string, number>();

  constructor(readonly budget: { places: number; share: number; tokens: number; blocks: number }) {}

  add(one: One): void {
    if (!this.turns.has(one.client)) this.turns.set(one.client, this.clock - 0.5);
    this.waiting.push(one);
  }

  get used(): number {
    return this.running.reduce((sum, { holds }) => sum + holds, 0);
  }

  step(): void {
    const { places, share, tokens, blocks } = this.budget;
    this.steps++;
    const line = { free: places - this.running.length, share, blocks: blocks - this.used };
    for (const one of admit(this.waiting, this.running, { ...line, turnOf: (client) => this.turns.get(client) ?? 0 })) {
      this.waiting.splice(this.waiting.indexOf(one), 1);
      this.turns.set(one.client, ++this.clock);
      const at = { left: one.prompt, length: 0, holds: 0, own: 0, copies: false, ready: true, turn: 0 };
      this.running.push({ ...at, client: one.client, born: one.id, one });
    }
    expect(this.running.length).toBeLessThanOrEqual(places);
    for (const client of ["a", "b", "c"])
      expect(this.running.filter((who) => who.client === client).length).toBeLessThanOrEqual(share);
    const plan = schedule(this.running, { tokens, blocks: blocks - this.used });
    for (const who of plan.preempt) {
      this.running.splice(this.running.indexOf(who), 1);
      this.waiting.unshift(who.one);
    }
    const reads = plan.reads.flat();
    const steps = plan.steps.flat();
    expect(new Set([...steps, ...reads.map(({ who }) => who)]).size).toBe(steps.length + reads.length);
    expect(reads.reduce((sum, read) => sum + read.tokens, 0)).toBeLessThanOrEqual(tokens);
    if (this.running.length > 0) expect(steps.length + reads.length).toBeGreaterThan(0);
    for (const { who, tokens: count } of reads) {
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThanOrEqual(who.left);
      this.#grow(who, count);
      this.#set(who, { left: who.left - count, turn: ++this.clock });
    }
    for (const who of steps) {
      expect(who.left).toBe(0);
      this.#grow(who, 1);
    }
    expect(this.used).toBeLessThanOrEqual(blocks);
    for (const who of [...this.running])
      if (who.length >= who.one.prompt + who.one.tokens) {
        this.running.splice(this.running.indexOf(who), 1);
        this.done.push(who.one.id);
      }
  }

  #grow(who: Running, count: number): void {
    const holds = blocksFor(who.length + count);
    this.#set(who, { length: who.length + count, holds, own: holds });
  }

  #set(who: Running, change: Partial<Running>): void {
    Object.assign(who, change);
  }
}

const sequences = fc.array(
  fc.record({
    client: fc.constantFrom("a", "b", "c", ""),
    prompt: fc.integer({ min: 1, max: 120 }),
    tokens: fc.integer({ min: 1, max: 60 }),
    later: fc.integer({ min: 0, max: 20 }),
  }),
  { minLength: 1, maxLength: 24 },
);

test("everybody finishes, within places, shares, blocks and tokens, whatever comes when", () => {
  fc.assert(
    fc.property(
      sequences,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 13, max: 40 }),
      (list, places, tokens, blocks) => {
        // the longest of them fits by itself: 180 positions, 12 blocks, and one for a copy
        const world = new World({ places, share: Math.max(1, places - 1), tokens, blocks });
        const all = list.map(({ later, ...one }, id) => ({ ...one, id, later, needs: blocksFor(one.prompt) }));
        while (world.done.length < all.length) {
          for (const one of all) if (one.later === world.steps) world.add(one);
          world.step();
          expect(world.steps).toBeLessThan(20_000);
        }
        expect(world.done.sort((a, b) => a - b)).toEqual(all.map(({ id }) => id));
        expect(world.used).toBe(0);
      },
    ),
    { numRuns: 40 },
  );
});

test("clients take turns, however many requests one has", () => {
  const world = new World({ places: 1, share: 1, tokens: 64, blocks: 100 });
  const order = ["a", "a", "a", "a", "b", "b", "c"];
  order.forEach((client, id) => world.add({ client, id, prompt: 4, tokens: 1, needs: 1 }));
  while (world.done.length < order.length) world.step();
  expect(world.done.map((id) => order[id]).join("")).toBe("abcabaa");
});

test("a long prompt does not keep short ones waiting: readers take turns", () => {
  const world = new World({ places: 8, share: 8, tokens: 32, blocks: 1000 });
  world.add({ client: "a", id: 0, prompt: 3200, tokens: 1, needs: 200 });
  world.step();
  for (let id = 1; id < 4; id++) world.add({ client: "b", id, prompt: 16, tokens: 1, needs: 1 });
  for (let n = 0; n < 6; n++) world.step();
  expect(world.done.sort()).toEqual([1, 2, 3]);
});

describe("passes", () => {
  test("those of lengths far apart are padded apart, all others share a pass", () => {
    const size = (n: number) => n;
    expect(passes([4, 3, 4, 2], size, 10)).toEqual([[4, 3, 4, 2]]);
    expect(passes([400, 3, 4, 2], size, 160)).toEqual([[400], [3, 4, 2]]);
    expect(passes([], size, 10)).toEqual([]);
  });

  test("each item is in one pass, in the order given", () => {
    const items = fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 40 });
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 200 }), (sizes, worth) => {
        const list = sizes.map((size, i) => ({ size, i }));
        const cut = passes(list, ({ size }) => size, worth);
        expect(cut.flat().sort((a, b) => a.i - b.i)).toEqual(list);
        for (const pass of cut) expect(pass.map(({ i }) => i)).toEqual(pass.map(({ i }) => i).sort((a, b) => a - b));
        // no pass could be cut in two with gain
        for (const pass of cut)
          for (const { size } of pass) {
            const largest = Math.max(...pass.map((one) => one.size));
            const smaller = pass.filter((one) => one.size <= size).length;
            expect(smaller * (largest - size)).toBeLessThanOrEqual(worth);
          }
      }),
    );
  });
});
