import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fillInMiddle } from "./fim.ts";

const tokens = { bos: 0, eos: 1, fim: [2, 3, 4] as [number, number, number] };
const document = fc.array(fc.integer({ min: 10, max: 99 }), { maxLength: 30 }).map((body) => [0, ...body, 1]);

/** The document before it was cut: begin prefix hole suffix end middle -> prefix middle suffix. */
function undo(ids: number[]): number[] {
  const [begin, hole, end] = [2, 3, 4].map((mark) => ids.indexOf(mark));
  if (begin! < 0) return ids;
  const eos = ids.length - 1;
  return [
    ...ids.slice(0, begin),
    ...ids.slice(begin! + 1, hole),
    ...ids.slice(end! + 1, eos),
    ...ids.slice(hole! + 1, end),
    ids[eos]!,
  ];
}

function split(ids: number[]): number[][] {
  const out: number[][] = [[]];
  for (const id of ids) {
    out.at(-1)!.push(id);
    if (id === 1) out.push([]);
  }
  return out.filter((document) => document.length > 0);
}

const run = (ids: number[], rate: number, seed: number, allowed = () => true) => {
  const out = Int32Array.from(ids);
  fillInMiddle(out, tokens, rate, seed, (i) => 1000 + i, allowed);
  return [...out];
};

describe("fillInMiddle", () => {
  it("turns documents into prefix, suffix, middle, and can be undone", () => {
    fc.assert(
      fc.property(
        fc.array(document, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: 1e9 }),
        (documents, seed) => {
          const ids = documents.flat();
          const room = new Array(3 * documents.length).fill(50);
          const found = split(run([...ids, ...room], 0.7, seed));
          documents.forEach((document, i) => expect(undo(found[i]!)).toEqual(document));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("keeps the length; what does not fit falls off the end", () => {
    const ids = [0, ...Array.from({ length: 20 }, (_, i) => 10 + i), 1, 0, 40, 41, 42];
    const out = run(ids, 1, 7);
    expect(out.length).toBe(ids.length);
    expect(out.slice(0, 2)).toEqual([0, 2]);
    expect(out.filter((id) => id >= 2 && id <= 4)).toEqual([2, 3, 4]);
    expect(undo(out.slice(0, out.indexOf(1) + 1))).toEqual(ids.slice(0, 22));
  });

  it("cuts at the rate asked, none at 0, none where it may not", () => {
    const documents = Array.from({ length: 3000 }, () => [
      0,
      ...Array.from({ length: 12 }, (_, i) => 10 + i),
      1,
    ]).flat();
    expect(run(documents, 0, 3)).toEqual(documents);
    expect(run(documents, 1, 3, () => false)).toEqual(documents);
    const share = run(documents, 0.1, 3).filter((id) => id === 2).length / 3000;
    expect(share).toBeGreaterThan(0.08);
    expect(share).toBeLessThan(0.12);
  });

  it("leaves what is too short, and depends on seed and place alone", () => {
    expect(run([0, 10, 11, 12, 1, 20, 21], 1, 5)).toEqual([0, 10, 11, 12, 1, 20, 21]);
    const ids = [0, ...Array.from({ length: 40 }, (_, i) => 10 + i), 1];
    expect(run(ids, 1, 5)).toEqual(run(ids, 1, 5));
    expect(run(ids, 1, 5)).not.toEqual(run(ids, 1, 6));
  });
});
