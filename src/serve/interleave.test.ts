import { expect, test } from "vitest";
import { interleave } from "./interleave.ts";

async function* numbers(count: number, ended: () => void, pause = false): AsyncGenerator<number, void> {
  try {
    for (let i = 0; i < count; i++) {
      if (pause) await new Promise((resolve) => setTimeout(resolve));
      yield i;
    }
  } finally {
    ended();
  }
}

test("every stream's items come in its own order, and all streams end", async () => {
  let ended = 0;
  const got: number[][] = [[], [], []];
  for await (const [i, item] of interleave([3, 0, 5].map((count, i) => numbers(count, () => ended++, i === 0))))
    got[i]?.push(item);
  expect(got).toEqual([[0, 1, 2], [], [0, 1, 2, 3, 4]]);
  expect(ended).toBe(3);
  for await (const _ of interleave([])) expect.fail("nothing comes of nothing");
});

test("one that throws ends the others, and so does a reader that leaves", async () => {
  let ended = 0;
  const broken = async function* (): AsyncGenerator<number, void> {
    yield 1;
    throw new Error("broken");
  };
  const read = async (): Promise<void> => {
    for await (const _ of interleave([broken(), numbers(1e9, () => ended++, true)]));
  };
  await expect(read()).rejects.toThrow("broken");
  expect(ended).toBe(1);
  for await (const _ of interleave([numbers(1e9, () => ended++), numbers(1e9, () => ended++, true)])) break;
  expect(ended).toBe(3);
});

test("streams that wait cost nothing while others go on", async () => {
  let open = true;
  const waiting = Array.from({ length: 1000 }, async function* (): AsyncGenerator<number, void> {
    while (open) await new Promise((resolve) => setTimeout(resolve, 20));
  });
  let seen = 0;
  for await (const _ of interleave([...waiting, numbers(100_000, () => (open = false))])) seen++;
  expect(seen).toBe(100_000);
});
