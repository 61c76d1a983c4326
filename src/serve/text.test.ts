import fc from "fast-check";
import { expect, test } from "vitest";
import { ReasoningSplit, StopMatcher } from "./text.ts";

const chunked = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "\n"), maxLength: 4 }), { maxLength: 12 });
const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c", "\n"), minLength: 1, maxLength: 4 }), {
  maxLength: 3,
});

function runStops(pieces: string[], words: string[]): { text: string; stopped: boolean } {
  const matcher = new StopMatcher(words);
  const text = pieces.map((p) => matcher.push(p)).join("") + matcher.flush();
  return { text, stopped: matcher.stopped };
}

test("a stop string is found across pieces and is not shown", () => {
  expect(runStops(["The answer is 4", "2.\nQ", "uest", "ion: next"], ["\nQuestion:"])).toEqual({
    text: "The answer is 42.",
    stopped: true,
  });
  expect(runStops(["almost \nQues", "tioned"], ["\nQuestion:"])).toEqual({
    text: "almost \nQuestioned",
    stopped: false,
  });
});

test("of several stop strings the first to complete wins, and the longest of those", () => {
  expect(runStops(["xabcd"], ["cd", "abcd"])).toEqual({ text: "x", stopped: true });
  expect(runStops(["xabcd"], ["abcd", "b"])).toEqual({ text: "xa", stopped: true });
});

test("nothing that may become a stop string is shown early", () => {
  const matcher = new StopMatcher(["END"]);
  expect(matcher.push("the E")).toBe("the ");
  expect(matcher.heldLength).toBe(1);
  expect(matcher.push("N")).toBe("");
  expect(matcher.push("C")).toBe("ENC");
});

test("stopping does not depend on how the text was cut, and shown text holds no stop string", () => {
  fc.assert(
    fc.property(chunked, stops, (pieces, words) => {
      const whole = pieces.join("");
      const result = runStops(pieces, words);
      expect(result).toEqual(runStops([...whole], words));
      expect(result.stopped).toBe(words.some((w) => whole.includes(w)));
      expect(whole.startsWith(result.text)).toBe(true);
      for (const w of words) expect(result.text).not.toContain(w);
      if (!result.stopped) expect(result.text).toBe(whole);
    }),
  );
});

function runSplit(pieces: string[], inThought = false): { reasoning: string; content: string } {
  const split = new ReasoningSplit({ inThought });
  const out = { reasoning: "", content: "" };
  for (const part of [...pieces.map((p) => split.push(p)), split.flush()]) {
    out.reasoning += part.reasoning;
    out.content += part.content;
  }
  return out;
}

test("thoughts are taken out of the text", () => {
  expect(runSplit(["<think>\n2+2", " is 4\n</think>\n\nIt is 4."])).toEqual({
    reasoning: "2+2 is 4",
    content: "It is 4.",
  });
  expect(runSplit(["<thi", "nk>a < b", "</th", "ink>c"])).toEqual({ reasoning: "a < b", content: "c" });
  expect(runSplit(["still thinking</think>done"], true)).toEqual({ reasoning: "still thinking", content: "done" });
  expect(runSplit(["</th", "ink>no", " thought"])).toEqual({ reasoning: "", content: "no thought" });
  expect(runSplit(["<think>never", " ends </thin"])).toEqual({ reasoning: "never ends </thin", content: "" });
});

test("tags elsewhere are text", () => {
  expect(runSplit(["  plain"])).toEqual({ reasoning: "", content: "  plain" });
  expect(runSplit(["<thinner>"])).toEqual({ reasoning: "", content: "<thinner>" });
  expect(runSplit(["say <think> and </think>"])).toEqual({ reasoning: "", content: "say <think> and </think>" });
  expect(runSplit(["<think>a</think>b</think><think>"])).toEqual({ reasoning: "a", content: "b</think><think>" });
  expect(runSplit(["<th"])).toEqual({ reasoning: "", content: "<th" });
});

test("splitting does not depend on how the text was cut", () => {
  const pieces = fc.array(fc.constantFrom("<think>", "</think>", "<", "th", "ink>", "</", "x", " ", "\n"), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(pieces, fc.boolean(), (parts, inThought) => {
      const whole = parts.join("");
      const result = runSplit(parts, inThought);
      expect(result).toEqual(runSplit([...whole], inThought));
      expect(result).toEqual(runSplit([whole], inThought));
    }),
  );
});
