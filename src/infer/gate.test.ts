import fc from "fast-check";
import { expect, test } from "vitest";
import { Gate } from "./gate.ts";

const settled = () => new Promise((resolve) => setTimeout(resolve));

/** Enters for each name in turn; `order` gets them as they come in. */
function crowd(gate: Gate, names: string[]): { order: string[]; leaves: (() => void)[] } {
  const order: string[] = [];
  const leaves: (() => void)[] = [];
  for (const name of names)
    void gate.enter(undefined, name).then((leave) => {
      order.push(name);
      leaves.push(leave);
    });
  return { order, leaves };
}

test("clients take turns, however many callers one has", async () => {
  const gate = new Gate(1);
  const { order, leaves } = crowd(gate, ["a", "a", "a", "a", "b", "b", "c"]);
  for (let i = 0; i < 7; i++) {
    await settled();
    leaves[i]!();
  }
  await settled();
  expect(order.join("")).toBe("abcabaa");
  expect([gate.taken, gate.waiting]).toEqual([0, 0]);
});

test("clients that come anew each time do not keep one waiting that had a turn", async () => {
  const gate = new Gate(1);
  const { order, leaves } = crowd(gate, ["a", "a", "a"]);
  const others: (() => void)[][] = [];
  for (let i = 0; order.length < 3; i++) {
    expect(i).toBeLessThan(12);
    others.push(crowd(gate, [`new ${i}`]).leaves);
    await settled();
    for (const list of [leaves, ...others]) list.splice(0).forEach((leave) => leave());
  }
});

test("no client has more than its share, though places are free", async () => {
  const gate = new Gate(4, 3);
  const { order, leaves } = crowd(gate, ["a", "a", "a", "a", "a"]);
  await settled();
  expect([order.length, gate.taken, gate.waiting]).toEqual([3, 3, 2]);
  const other = crowd(gate, ["b", "b"]);
  await settled();
  expect(other.order).toEqual(["b"]);
  leaves[0]!();
  await settled();
  // b has one inside and a two: b is next
  expect(other.order).toEqual(["b", "b"]);
  other.leaves.forEach((leave) => leave());
  await settled();
  expect(order.length).toBe(4);
});

test("no order of coming, going and giving up loses a place or lets in too many", async () => {
  const act = fc.record({ name: fc.constantFrom("a", "b", "c"), what: fc.constantFrom("enter", "leave", "abort") });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 3 }),
      fc.array(act, { maxLength: 40 }),
      async (places, most, acts) => {
        const share = Math.min(places, most);
        const gate = new Gate(places, share);
        const inside: { name: string; leave: () => void }[] = [];
        const waiting: AbortController[] = [];
        const check = () => {
          expect(gate.taken).toBe(inside.length);
          expect(gate.waiting).toBe(waiting.length);
          expect(inside.length).toBeLessThanOrEqual(places);
          for (const name of ["a", "b", "c"])
            expect(inside.filter((one) => one.name === name).length).toBeLessThanOrEqual(share);
        };
        for (const { name, what } of acts) {
          if (what === "enter") {
            const stop = new AbortController();
            waiting.push(stop);
            gate.enter(stop.signal, name).then(
              (leave) => {
                waiting.splice(waiting.indexOf(stop), 1);
                inside.push({ name, leave });
              },
              () => waiting.splice(waiting.indexOf(stop), 1),
            );
          } else if (what === "leave") {
            const one = inside.shift();
            one?.leave();
            one?.leave();
          } else waiting[0]?.abort();
          await settled();
          check();
        }
        while (inside.length > 0) {
          inside.shift()?.leave();
          await settled();
        }
        expect([gate.taken, gate.waiting]).toEqual([0, 0]);
      },
    ),
    { numRuns: 60 },
  );
});
