import { afterEach, expect, it, vi } from "vitest";
import { getJson } from "./api.ts";
import { asking, enterKey } from "./key.ts";

afterEach(() => vi.unstubAllGlobals());

it("asks again when the server refuses the key that was entered, not when it refuses what was sent before", async () => {
  const answers: ((response: Response) => void)[] = [];
  vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => answers.push(resolve)));
  const refuse = async (i: number, asked: Promise<unknown>): Promise<void> => {
    answers[i]?.(new Response("{}", { status: 401 }));
    await expect(asked).rejects.toThrow();
  };
  const [first, late] = [getJson("/a"), getJson("/b")];
  await refuse(0, first);
  expect(asking.get()).toBe("first");
  expect(enterKey("some-key")).toBe(true);
  const next = getJson("/c");
  await refuse(1, late);
  expect(asking.get()).toBe("no");
  await refuse(2, next);
  expect(asking.get()).toBe("again");
});
