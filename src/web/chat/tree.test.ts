import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readConversation } from "./kept.ts";
import {
  branchOf,
  lastAnswer,
  showAnswer,
  showVersion,
  stepsBefore,
  turnsAfter,
  withAnswer,
  withTurn,
} from "./tree.ts";
import type { Answer, Conversation } from "./types.ts";

const answer = (id: string): Answer => ({
  id,
  raw: id,
  reasoning: "",
  model: "m",
  startedAt: 0,
  pieces: 1,
  status: "done",
});
const empty: Conversation = { form: 2, id: "c", title: "t", createdAt: 0, updatedAt: 0, turns: [], picked: {} };
const asked = (c: Conversation, id: string, after: string | null, answers = [`${id}.0`]): Conversation =>
  answers.reduce(
    (so, a) => withAnswer(so, id, answer(a)),
    withTurn(c, { id, after, question: id, answers: [], shown: 0 }),
  );
const names = (c: Conversation) => branchOf(c).map(({ id }) => id);

describe("a conversation's branches", () => {
  const linear = asked(asked(asked(empty, "a", null), "b", "a.0"), "c", "b.0");

  it("keep what followed a question that was changed", () => {
    const changed = asked(linear, "b2", "a.0");
    expect(names(changed)).toEqual(["a", "b2"]);
    expect(turnsAfter(changed, "a.0").map(({ id }) => id)).toEqual(["b", "b2"]);
    const back = showVersion(changed, "b2", 0);
    expect(names(back)).toEqual(["a", "b", "c"]);
    expect(names(showVersion(back, "b", 7))).toEqual(["a", "b2"]);
    // a third version is shown when it is made, whichever was picked before
    expect(names(asked(back, "b3", "a.0"))).toEqual(["a", "b3"]);
  });

  it("go through the answer on show, and each answer has its own", () => {
    const again = withAnswer(linear, "a", answer("a.1"));
    expect(names(again)).toEqual(["a"]);
    expect(names(asked(again, "d", "a.1"))).toEqual(["a", "d"]);
    expect(names(showAnswer(asked(again, "d", "a.1"), "a", 0))).toEqual(["a", "b", "c"]);
    expect(lastAnswer(again)?.id).toBe("a.1");
  });

  it("lead up to a turn whichever is on show", () => {
    const other = asked(linear, "x", null);
    expect(names(other)).toEqual(["x"]);
    expect(stepsBefore(other, "c").map(({ turn, answer }) => [turn.id, answer?.id])).toEqual([
      ["a", "a.0"],
      ["b", "b.0"],
    ]);
    expect(stepsBefore(other, "x")).toEqual([]);
  });

  it("end, whatever a file says follows what", () => {
    const ids = ["1", "2", "3", "4"];
    const turn = fc.record({
      id: fc.constantFrom(...ids),
      after: fc.constantFrom(null, ...ids),
      question: fc.constant("q"),
      answers: fc.array(fc.record({ id: fc.constantFrom(...ids) }), { maxLength: 3 }),
      shown: fc.integer({ min: -2, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 6 }), (turns) => {
        const chat = readConversation({ form: 2, id: "c", turns })!;
        expect(branchOf(chat).length).toBeLessThanOrEqual(turns.length);
        for (const { id } of chat.turns) expect(stepsBefore(chat, id).length).toBeLessThanOrEqual(12);
      }),
      { numRuns: 200 },
    );
  });
});
