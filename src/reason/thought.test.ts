import { expect, it } from "vitest";
import { isLong, malformed, partReply } from "./thought.ts";

it("knows the format where the prompt has opened the thought", () => {
  const opened = (text: string) => partReply({ text, opened: true });
  expect(opened("x</think>5")).toEqual({ thought: "x", answer: "5", wellFormed: true });
  expect(opened("x 5")).toEqual({ thought: "x 5", answer: "", wellFormed: false });
  expect(opened("<think>x</think>5").wellFormed).toBe(false);
  expect(opened("x</think>5<think>y</think>6").wellFormed).toBe(false);
  expect(opened("x</think>").wellFormed).toBe(false);
  expect(opened(" \n</think>5").wellFormed).toBe(false);
});

it("and where the reply opens it", () => {
  expect(partReply({ text: "\n<think>x</think>5" })).toEqual({ thought: "x", answer: "5", wellFormed: true });
  expect(partReply({ text: "<think>x</think>5</think>6" }).wellFormed).toBe(false);
  expect(partReply({ text: "x</think>5" })).toEqual({ thought: undefined, answer: "x</think>5", wellFormed: false });
  expect(partReply({ text: "5" })).toEqual({ thought: undefined, answer: "5", wellFormed: false });
});

it("a bare close is the template's way to say: no thought", () => {
  expect(partReply({ text: "</think>5" })).toEqual({ thought: undefined, answer: "5", wellFormed: false });
  expect([{ text: "</think>5" }, { text: "5" }, { text: "<think></think>5" }].map(isLong)).toEqual([
    false,
    false,
    false,
  ]);
  expect(isLong({ text: "<think>x" })).toBe(true);
});

it("says in what a form is wrong, and nothing of one that is right", () => {
  const opened = (text: string) => malformed({ text, opened: true });
  expect([opened("x</think>5"), malformed({ text: "<think>x</think>5" })]).toEqual([undefined, undefined]);
  expect([opened("<think>x</think>5"), opened("x"), opened("</think>5"), opened("x</think>")]).toEqual([
    "open the thought again",
    "never close their thought",
    "think nothing",
    "give no answer",
  ]);
  expect(opened("x</think>5</think>")).toBe("have a tag too many");
  expect([malformed({ text: "5" }), malformed({ text: "x</think>5" })]).toEqual([
    "do not think",
    "close a thought that they did not open",
  ]);
  expect(malformed({ text: "<think>x", truncated: true })).toBe("are cut off");
});
