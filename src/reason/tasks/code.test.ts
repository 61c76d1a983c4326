import { afterAll, describe, expect, it } from "vitest";
import { CodeRunner, codeIn } from "./codeRunner.ts";

const runner = new CodeRunner();
afterAll(() => runner.close());
const cases = [
  { args: [[1, 2, 3]], result: 6 },
  { args: [[]], result: 0 },
];
const run = (source: string) => runner.run(source, "f", cases);

describe("JavaScript that a model wrote", () => {
  it("is run against cases", async () => {
    expect(await run("const f = (list) => list.reduce((a, b) => a + b, 0);")).toEqual({ passed: 2 });
    expect(await run("function f(list) { return list.reduce((a, b) => a + b); }")).toMatchObject({
      passed: 1,
      failure: expect.stringMatching(/^case 2: TypeError/),
    });
    expect(await run("function f() { return 7; }")).toEqual({ passed: 0, failure: "case 1: expected 6, got 7" });
    expect(await run("function g() {}")).toMatchObject({
      passed: 0,
      failure: expect.stringMatching(/f.? is not defined/),
    });
    expect(await run("this is no code")).toMatchObject({ passed: 0, failure: expect.stringMatching(/SyntaxError/) });
  });

  it.each([
    ["a loop", "function f() { for (;;); }"],
    ["a loop outside of the function", "for (;;);"],
    ["depth", "function f() { return f() + 1; }"],
    ["memory", "function f() { const a = []; for (;;) a.push('x'.repeat(1e5)); }"],
    ["one large piece", "function f() { return new Uint8Array(1e10).length; }"],
    ["a large result", "function f() { return 'x'.repeat(1e6); }"],
    ["an expression without end", "function f() { return /^(a+)+$/.test('a'.repeat(40) + 'b'); }"],
    [
      "an error that cannot be said",
      "function f() { throw { toString() { for (;;); }, get message() { for (;;); } }; }",
    ],
    ["a promise", "function f() { return new Promise(() => {}); }"],
    ["a look at Node", "function f() { return typeof process + typeof require + typeof fetch; }"],
    ["another JSON", "JSON.stringify = () => { for (;;); }; function f() { return 6; }"],
    ["an escape", "function f() { return this.constructor.constructor('return process')().exit(); }"],
  ])("that is %s passes no case and ends nothing else", async (_, source) => {
    const { passed, failure } = await run(source);
    expect([passed, typeof failure]).toEqual([0, "string"]);
    expect((await run("const f = (list) => list.length * (list.length + 1) / 2;")).passed).toBe(2);
  });

  it("sees no access to Node", async () => {
    const looked = await runner.run(
      "function f() { return [typeof process, typeof require, typeof fetch, typeof setTimeout]; }",
      "f",
      [{ args: [], result: ["undefined", "undefined", "undefined", "undefined"] }],
    );
    expect(looked).toEqual({ passed: 1 });
    expect(await runner.run("x", "f(); g", cases)).toMatchObject({
      passed: 0,
      failure: expect.stringMatching(/no name/),
    });
  });
});

it("code stands in the last block, or is all there is", () => {
  expect(codeIn("So:\n```js\na\n```\nor\n```\nb\n```\nDone.")).toBe("b");
  expect(codeIn("```javascript\na\n")).toBe("a");
  expect(codeIn(" function f() {} ")).toBe("function f() {}");
});
