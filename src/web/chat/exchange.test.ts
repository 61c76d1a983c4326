import fc from "fast-check";
import { expect, it } from "vitest";
import { FileError, fileStem, fromFile, toJson, toMarkdown } from "./exchange.ts";
import { partsOf } from "./parts.ts";
import { branchOf } from "./tree.ts";
import type { Conversation, Turn } from "./types.ts";

/** Texts with what a chat file's own marks look like, and line breaks everywhere. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "\n",
        "<!-- sumbi:answer x -->",
        "<!-- \\sumbi:question -->",
        "</details>",
        "## Question",
        "# x",
        " ",
      ),
      fc.string({ unit: "grapheme", maxLength: 8 }).map((s) => s.replaceAll("\r", "")),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));
const said = fc.record({
  question: text,
  thought: text.map((t) => t.trim()),
  answer: text.map((t) => `.${t}`),
  model: fc.string({ maxLength: 6 }).map((m) => m.trim()),
});

function chatOf(all: { question: string; thought: string; answer: string; model: string }[]): Conversation {
  const turns: Turn[] = all.map(({ question, thought, answer, model }, i) => ({
    id: `t${i}`,
    after: i === 0 ? null : `a${i - 1}`,
    question,
    answers: [{ id: `a${i}`, raw: answer, reasoning: thought, model, startedAt: 5, pieces: 1, status: "done" }],
    shown: 0,
  }));
  return {
    form: 2,
    id: "c",
    title: "A chat",
    createdAt: 1_790_000_000_000,
    updatedAt: 1_790_000_000_000,
    turns,
    picked: {},
  };
}

it("reads its own Markdown back, whatever was said", () => {
  fc.assert(
    fc.property(fc.array(said, { minLength: 1, maxLength: 4 }), (all) => {
      const [back] = fromFile(toMarkdown(chatOf(all)));
      expect([back!.title, back!.createdAt]).toEqual(["A chat", 1_790_000_000_000]);
      expect(
        branchOf(back!).map(({ question, answers: [a] }) => {
          const { thought, text } = partsOf(a!);
          return { question, thought, answer: text, model: a!.model };
        }),
      ).toEqual(all);
    }),
    { numRuns: 300 },
  );
});

it("reads its own JSON back, chat by chat", () => {
  const chat = chatOf([{ question: "q", thought: "t", answer: "a", model: "m" }]);
  expect(fromFile(toJson([chat, { ...chat, id: "d" }]))).toEqual([chat, { ...chat, id: "d" }]);
});

it("reads a list of messages, and says of anything else that it is no chat", () => {
  const messages = [
    { role: "system", content: "be brief" },
    { role: "user", content: "2 + 2?" },
    { role: "assistant", content: "4" },
    { role: "user", content: "sure?" },
  ];
  const [chat] = fromFile(JSON.stringify({ messages }));
  expect(branchOf(chat!).map(({ question, answers }) => [question, answers[0]!.raw, answers[0]!.status])).toEqual([
    ["2 + 2?", "4", "done"],
    ["sure?", "", "stopped"],
  ]);
  expect(fromFile(JSON.stringify(messages))[0]!.title).toBe("2 + 2?");
  for (const other of ["", "# Some notes\n", "{", "[1, 2]", '{"chats": [3]}', "null", '{"a": null}'])
    expect(() => fromFile(other)).toThrow(FileError);
});

it("names files by titles of any script", () => {
  expect(["What is 3 + 4?", "숨비 소리", "//", "CON"].map(fileStem)).toEqual([
    "what-is-3-4",
    "숨비-소리",
    "chat",
    "con",
  ]);
});
