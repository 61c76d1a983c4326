import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ArithmeticKind, arithmeticProblem, checkArithmetic } from "./arithmetic.ts";
import { conversationDocument } from "./conversations.ts";
import { arithmeticDocument, smalltalkDocument } from "./smalltalk.ts";
import { addWorking, compareWorking, divideWorking, multiplyWorking, subtractWorking } from "./working.ts";

const number = fc.integer({ min: 0, max: 9999 });

describe("working", () => {
  it("adds by columns with carries", () => {
    expect(addWorking(47, 386).lines).toEqual([
      "047+386",
      "7+6+0=13 carry 1",
      "4+8+1=13 carry 1",
      "0+3+1=04 carry 0",
      "=0433",
    ]);
  });
  it("subtracts with borrows, the smaller from the larger", () => {
    expect(subtractWorking(47, 386).lines).toEqual([
      "047-386",
      "0<3",
      "negative 386-047",
      "6-7-0 borrow 1 gives 9",
      "8-4-1 borrow 0 gives 3",
      "3-0-0 borrow 0 gives 3",
      "=-339",
    ]);
    expect(subtractWorking(8, 8)).toEqual({ lines: ["8-8", "8=8", "equal"], result: [0] });
  });
  it("multiplies by partial products", () => {
    expect(multiplyWorking(47, 36).lines).toEqual([
      "47*36",
      "47*6",
      "7*6=42 +0=42 carry 4",
      "4*6=24 +4=28 carry 2",
      "=282",
      "47*3",
      "7*3=21 +0=21 carry 2",
      "4*3=12 +2=14 carry 1",
      "=141",
      "0282+1410",
      "2+0+0=02 carry 0",
      "8+1+0=09 carry 0",
      "2+4+0=06 carry 0",
      "0+1+0=01 carry 0",
      "=01692",
    ]);
  });
  it("writes a product as it was asked before the longer number comes first", () => {
    expect(multiplyWorking(8, 26).lines.slice(0, 2)).toEqual(["8*26", "26*8"]);
    expect(multiplyWorking(8, 126).lines.at(-1)).toBe(multiplyWorking(126, 8).lines.at(-1));
    expect(multiplyWorking(26, 8).lines[0]).toBe("26*8");
  });
  it("divides from the left and compares digit by digit", () => {
    expect(divideWorking(473, 6).lines).toEqual([
      "473/6",
      "04/6 0*6=00 rem 4",
      "47/6 7*6=42 rem 5",
      "53/6 8*6=48 rem 5",
      "=078 rem 5",
    ]);
    expect(compareWorking(4712, 4731, "larger").lines).toEqual([
      "larger of 4712 or 4731",
      "4=4",
      "7=7",
      "1<3",
      "4712<4731",
      "larger 4731",
    ]);
    expect(compareWorking(31, 4, "smaller")).toEqual({
      lines: ["smaller of 31 or 04", "3>0", "4<31", "smaller 4"],
      result: [4],
    });
  });
  it("comes to what JavaScript comes to, in the result and in the last line", () => {
    fc.assert(
      fc.property(number, number, fc.integer({ min: 1, max: 9 }), (a, b, d) => {
        expect(addWorking(a, b).result).toEqual([a + b]);
        expect(Number(addWorking(a, b).lines.at(-1)!.slice(1))).toBe(a + b);
        expect(subtractWorking(a, b).result).toEqual([a - b]);
        if (a !== b) expect(Number(subtractWorking(a, b).lines.at(-1)!.slice(1))).toBe(a - b);
        expect(multiplyWorking(a, b).result).toEqual([a * b]);
        expect(Number(multiplyWorking(a, b).lines.at(-1)!.slice(1))).toBe(a * b);
        expect(divideWorking(a, d).result).toEqual([Math.floor(a / d), a % d]);
        expect(divideWorking(a, d).lines.at(-1)!.slice(1).split(" rem ").map(Number)).toEqual([
          Math.floor(a / d),
          a % d,
        ]);
        if (a !== b) expect(compareWorking(a, b, "larger").result).toEqual([Math.max(a, b)]);
        if (a !== b) expect(compareWorking(a, b, "smaller").lines.at(-1)).toBe(`smaller ${Math.min(a, b)}`);
      }),
      { numRuns: 300 },
    );
  });
  it("states true facts in every line of a sum, product or division", () => {
    fc.assert(
      fc.property(number, number, fc.integer({ min: 1, max: 9 }), (a, b, d) => {
        for (const line of divideWorking(a, d).lines.slice(1, -1)) {
          const [part, by, times, again, product, rest] = /^(\d\d)\/(\d) (\d)\*(\d)=(\d\d) rem (\d)$/
            .exec(line)!
            .slice(1)
            .map(Number) as [number, number, number, number, number, number];
          expect([times * by, product + rest, again]).toEqual([product, part, by]);
          expect(rest).toBeLessThan(by);
        }
        for (const line of [...addWorking(a, b).lines, ...multiplyWorking(a, b).lines]) {
          const sum = /^(\d)\+(\d)\+(\d)=(\d)(\d) carry (\d)$/.exec(line)?.slice(1).map(Number);
          if (sum) expect([sum[0]! + sum[1]! + sum[2]!, sum[5]]).toEqual([10 * sum[3]! + sum[4]!, sum[3]]);
          const product = /^(\d)\*(\d)=(\d\d) \+(\d)=(\d)(\d) carry (\d)$/.exec(line)?.slice(1).map(Number);
          if (product)
            expect([product[0]! * product[1]!, product[2]! + product[3]!, product[6]]).toEqual([
              product[2],
              10 * product[4]! + product[5]!,
              product[4],
            ]);
          if (line.includes("carry")) expect(sum ?? product).toBeDefined();
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("arithmeticProblem", () => {
  const all = (split: "train" | "heldout", count: number) =>
    Array.from({ length: count }, (_, i) => arithmeticProblem(7, i, split));

  it("is the same for the same arguments, another for others", () => {
    expect(arithmeticProblem(3, 11, "train")).toEqual(arithmeticProblem(3, 11, "train"));
    const questions = new Set(all("train", 500).map((problem) => problem.question));
    expect(questions.size).toBeGreaterThan(450);
    expect(arithmeticProblem(4, 11, "train")).not.toEqual(arithmeticProblem(3, 11, "train"));
  });

  it("stays as it is: shards and trained models depend on it", () => {
    expect(arithmeticProblem(1, 0, "train")).toMatchInlineSnapshot(`
      {
        "answer": "761 - 2 = 759.",
        "expected": [
          759,
        ],
        "kind": "subtract",
        "question": "Can you compute 761-2?",
        "thought": "761-002
      7>0
      1-2-0 borrow 1 gives 9
      6-0-1 borrow 0 gives 5
      7-0-0 borrow 0 gives 7
      =759",
      }
    `);
    expect(arithmeticProblem(1, 0, "heldout").question).toMatchInlineSnapshot(`"calculate 989÷7"`);
  });

  it("never trains on a problem that the held-out split can ask", () => {
    const key = (text: string) => {
      const numbers = text.split("\n")[0]!.match(/\d+/g)!.map(Number);
      const op = /[+\-*/]|or/.exec(text.split("\n")[0]!)![0];
      return op + (op === "-" || op === "/" ? numbers : numbers.sort((a, b) => a - b)).join();
    };
    const simple = (split: "train" | "heldout", count: number) =>
      new Set(
        all(split, count)
          .filter((problem) => problem.kind !== "twoStep")
          .map((problem) => key(problem.thought)),
      );
    const train = simple("train", 20000);
    for (const held of simple("heldout", 2000)) expect(train.has(held)).toBe(false);
  });

  it("gives answers that its own check takes, and no other", () => {
    for (const problem of [...all("train", 1500), ...all("heldout", 300)]) {
      expect(checkArithmetic(problem, problem.answer)).toBe(true);
      expect(checkArithmetic(problem, `<think>${problem.thought}</think>${problem.answer}`)).toBe(true);
      expect(checkArithmetic(problem, `<think>${problem.thought}`)).toBe(false);
      expect(checkArithmetic({ ...problem, expected: problem.expected.map((n) => n + 1) }, problem.answer)).toBe(false);
      expect(checkArithmetic(problem, "")).toBe(false);
    }
  });

  it("reads signs and thousands as people write them", () => {
    const expecting = (...expected: number[]) => ({ ...arithmeticProblem(1, 0, "train"), expected });
    expect(checkArithmetic(expecting(-339), "47 - 386 = -339.")).toBe(true);
    expect(checkArithmetic(expecting(-339), "47-386=339")).toBe(false);
    expect(checkArithmetic(expecting(5), "12-7 = 5")).toBe(true);
    expect(checkArithmetic(expecting(7), "The result of 12-7")).toBe(true);
    expect(checkArithmetic(expecting(12345), "It is 12,345.")).toBe(true);
    expect(checkArithmetic(expecting(78, 5), "473 / 6 = 78, remainder 5.")).toBe(true);
    expect(checkArithmetic(expecting(-4), "It is −4")).toBe(true);
  });

  it("asks of all kinds, or of those wanted", () => {
    expect(new Set(all("train", 300).map((problem) => problem.kind)).size).toBe(7);
    const only: ArithmeticKind[] = ["divide"];
    expect(arithmeticProblem(1, 5, "train", only).kind).toBe("divide");
  });
});

describe("conversations", () => {
  it("alternate between user and assistant, thoughts closed, numbers right", () => {
    for (let i = 0; i < 500; i++)
      for (const { messages } of [smalltalkDocument(2, i), arithmeticDocument(1, i), conversationDocument(3, i)]) {
        expect(messages.map((message) => message.role)).toEqual(
          messages.map((_, j) => (j % 2 === 0 ? "user" : "assistant")),
        );
        for (const { role, content } of messages) {
          expect(content).not.toMatch(/undefined|NaN/);
          expect(content.split("<think>").length).toBe(content.split("</think>").length);
          expect(content.trim()).not.toBe("");
          if (role === "user") expect(content).not.toContain("<think>");
        }
      }
  });
  it("never trains in a conversation on a problem that the held-out split can ask, in either order of its numbers", () => {
    const thoughts = (split: "train" | "heldout", count: number) =>
      Array.from({ length: count }, (_, i) => conversationDocument(3, i, split).messages)
        .flat()
        .flatMap(
          ({ content }) =>
            /<think>(.*)/.exec(content)?.[1] ?? /^\d+ [+*] \d+(?= = )/.exec(content)?.[0].replaceAll(" ", "") ?? [],
        );
    const pair = (line: string) => /^0*(\d+)([+*])0*(\d+)$/.exec(line)?.slice(1);
    const keys = (split: "train" | "heldout", count: number) =>
      new Set(thoughts(split, count).flatMap((line) => pair(line)?.sort().join(" ") ?? []));
    const train = keys("train", 1500);
    const heldout = [...keys("heldout", 300)];
    expect(heldout.length).toBeGreaterThan(500);
    // Two-step problems begin as sums of two small numbers do and are reserved as a whole.
    expect(heldout.filter((key) => train.has(key) && !/\b\d{1,2} .*\b\d{1,2}$/.test(key))).toEqual([]);
  });
  it("run long: many problems, often of one kind, and never over what fits", () => {
    const documents = Array.from({ length: 300 }, (_, i) => conversationDocument(3, i).messages);
    const lengths = documents.map((messages) => messages.reduce((sum, { content }) => sum + content.length, 0));
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1500);
    expect(lengths.filter((chars) => chars > 1000).length).toBeGreaterThan(100);
    expect(documents.filter((messages) => messages.length >= 20).length).toBeGreaterThan(100);
    for (const messages of documents) {
      // As a chat has them: what is past has no thoughts and is not trained, what follows has and is.
      const answers = messages.filter(({ role, content }) => role === "assistant" && /\d/.test(content));
      for (const { content, weight } of answers) if (weight === 0) expect(content).not.toContain("think>");
      const first = messages.findIndex(({ content }) => content.startsWith("<think>"));
      if (first >= 0) expect(messages.slice(first).some(({ weight }) => weight === 0)).toBe(false);
    }
    expect(
      documents.filter((messages) => messages.some(({ content }) => content.startsWith("<think>"))).length,
    ).toBeGreaterThan(200);
  });
  it("vary", () => {
    expect(
      new Set(Array.from({ length: 2000 }, (_, i) => smalltalkDocument(2, i).messages[0]!.content)).size,
    ).toBeGreaterThan(700);
  });
});
