import { expect, test } from "vitest";
import { giveBack, returnable } from "./returnable.ts";

test("memory that was given back reads as empty; other memory is left alone", () => {
  const array = returnable(5);
  expect(array).toEqual(new Float32Array(5));
  array.set([1, 2, 3, 4, 5]);
  giveBack(array);
  expect([array.length, array.buffer.byteLength]).toEqual([0, 0]);
  const ordinary = Float32Array.of(1, 2);
  giveBack(ordinary);
  expect([...ordinary]).toEqual([1, 2]);
  expect(returnable(0).length).toBe(0);
});
