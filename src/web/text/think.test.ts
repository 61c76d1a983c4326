import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitThought } from "./think.ts";

describe("splitThought", () => {
  it("splits a complete answer", () => {
    expect(splitThought("<think>\n7 + 6 = 13\n</think>\n\n933")).toEqual({
      thought: "7 + 6 = 13",
      text: "933",
      thinking: false,
    });
  });

  it("takes all before a lone closing tag for thought, as when the prompt already opened it", () => {
    expect(splitThought("carry 1</think>933")).toEqual({ thought: "carry 1", text: "933", thinking: false });
  });

  it("leaves answers alone that only speak of the tags", () => {
    const text = "R1 writes `<think>` before and `</think>` after its thoughts.";
    expect(splitThought(text)).toEqual({ thought: "", text, thinking: false });
  });

  it("keeps a thought that never closes as thought", () => {
    expect(splitThought("<think>and so on")).toEqual({ thought: "and so on", text: "", thinking: false });
    expect(splitThought("<think>and so on", true).thinking).toBe(true);
  });

  it("never shows part of a tag while the text grows, and ends in the whole text's split", () => {
    const words = fc.string({ maxLength: 20 }).map((s) => s.replace(/[<>]/g, ""));
    fc.assert(
      fc.property(words, words, (thought, text) => {
        const raw = `<think>${thought}</think>${text}`;
        let longest = 0;
        for (let n = 0; n <= raw.length; n++) {
          const now = splitThought(raw.slice(0, n), true);
          expect(now.thought + now.text).not.toMatch(/[<>]/);
          expect(now.text.length).toBeGreaterThanOrEqual(longest);
          longest = now.text.length;
        }
        expect(splitThought(raw)).toEqual({ thought: thought.trim(), text: text.trimStart(), thinking: false });
      }),
    );
  });
});
