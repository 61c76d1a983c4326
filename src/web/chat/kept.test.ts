import { expect, it } from "vitest";
import { readConversation } from "./kept.ts";
import { branchOf } from "./tree.ts";

/** A chat as the page kept it before conversations were trees. */
const FIRST_FORM = {
  id: "m1",
  title: "my colour is red",
  createdAt: 1_790_000_000_000,
  updatedAt: 1_790_000_100_000,
  turns: [
    {
      id: "t1",
      question: "my colour is red",
      shown: 1,
      answers: [
        { raw: "Red.", reasoning: "", model: "nano", startedAt: 1, pieces: 2, status: "done", finish: "stop" },
        {
          raw: "So it is.",
          reasoning: "hm",
          model: "nano",
          startedAt: 2,
          firstMs: 10,
          thoughtMs: 15,
          lastMs: 30,
          pieces: 3,
          usage: { prompt_tokens: 9, completion_tokens: 4 },
          status: "done",
          dropped: 2,
        },
      ],
    },
    {
      id: "t2",
      question: "which colour?",
      shown: 0,
      answers: [{ raw: "R", reasoning: "", model: "nano", startedAt: 3, pieces: 1, status: "streaming" }],
    },
    { id: "t3", question: "well?", shown: 0, answers: [] },
  ],
};

it("reads chats of the first form: one branch, through the answers on show, with all that was kept", () => {
  const chat = readConversation(FIRST_FORM)!;
  expect([chat.form, chat.id, chat.title, chat.updatedAt]).toEqual([2, "m1", "my colour is red", 1_790_000_100_000]);
  expect(branchOf(chat).map(({ question }) => question)).toEqual(["my colour is red", "which colour?", "well?"]);
  expect(chat.turns[0]!.answers).toMatchObject(FIRST_FORM.turns[0]!.answers);
  // what was being answered when the page closed
  expect(chat.turns[1]!.answers[0]).toMatchObject({ raw: "R", status: "stopped" });
  expect(chat.turns[2]!.answers[0]).toMatchObject({ raw: "", status: "stopped" });
});

it("reads its own form back as it is", () => {
  const chat = readConversation(FIRST_FORM)!;
  expect(readConversation(JSON.parse(JSON.stringify(chat)))).toEqual(chat);
});

it("takes nothing that is no chat, and of a chat only what it knows", () => {
  for (const other of [
    null,
    3,
    [],
    {},
    { id: "x" },
    { id: "x", turns: [3] },
    { id: "x", turns: [{ question: "q", answers: [null] }] },
  ])
    expect(readConversation(other)).toBeNull();
  const odd = {
    id: "x",
    turns: [{ question: "q", shown: 9, answers: [{ raw: 5, usage: { prompt_tokens: "many" }, status: "odd" }] }],
  };
  expect(readConversation({ ...odd, evil: 1, picked: { a: 3 } })).toMatchObject({ title: "q", picked: {} });
  expect(readConversation(odd)!.turns[0]).toMatchObject({ shown: 0, answers: [{ raw: "", status: "done" }] });
  expect(readConversation(odd)!.turns[0]!.answers[0]).not.toHaveProperty("usage");
});
