import fc from "fast-check";
import { expect, it } from "vitest";
import { answerRoom, keepNewest } from "./history.ts";

const message = (role: string, size: number) => ({ role, size });
const total = (messages: readonly { size: number }[]) => messages.reduce((sum, { size }) => sum + size, 0);

it("leaves out whole turns from the oldest on, and nothing when all fits", async () => {
  const messages = [
    message("system", 1),
    message("user", 10),
    message("assistant", 10),
    message("user", 10),
    message("assistant", 10),
    message("user", 10),
  ];
  const within = (limit: number) => keepNewest(messages, (kept) => total(kept) <= limit);
  expect(await within(51)).toEqual({ messages, dropped: 0 });
  expect(await within(50)).toEqual({ messages: [messages[0], ...messages.slice(3)], dropped: 2 });
  expect(await within(11)).toEqual({ messages: [messages[0], messages[5]], dropped: 4 });
  // What is too long alone is still asked: whoever answers says that it does not fit.
  expect(await within(3)).toEqual({ messages: [messages[0], messages[5]], dropped: 4 });
});

it("for any conversation: keeps system messages and the last turn, keeps the most turns that fit, and asks seldom", async () => {
  const roles = fc.constantFrom("user", "assistant", "system", "developer");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ role: roles, size: fc.nat(20) }), { minLength: 1, maxLength: 60 }),
      fc.nat(600),
      async (messages, limit) => {
        let asked = 0;
        const { messages: kept, dropped } = await keepNewest(messages, (some) => {
          asked++;
          return total(some) <= limit;
        });
        expect(kept.length + dropped).toBe(messages.length);
        expect(asked).toBeLessThanOrEqual(8);
        const isSystem = ({ role }: { role: string }) => role === "system" || role === "developer";
        expect(kept.filter(isSystem)).toEqual(messages.filter(isSystem));
        const [rest, all] = [kept.filter((m) => !isSystem(m)), messages.filter((m) => !isSystem(m))];
        expect(rest).toEqual(all.slice(all.length - rest.length));
        if (dropped === 0) return;
        expect(rest[0]!.role).toBe("user");
        // One turn more would not have fitted.
        const gone = all.slice(0, all.length - rest.length);
        let start = gone.findLastIndex((m, i) => m.role === "user" && gone[i - 1]?.role !== "user");
        if (!gone.slice(0, Math.max(0, start)).some((m) => m.role === "user")) start = 0;
        expect(total(kept) + total(gone.slice(Math.max(0, start)))).toBeGreaterThan(limit);
      },
    ),
    { numRuns: 500 },
  );
});

it("keeps room for an answer in contexts of every size", () => {
  expect([128, 256, 512, 1024, 4096, 32_768, 131_072].map(answerRoom)).toEqual([64, 128, 256, 256, 1024, 4096, 4096]);
});
