import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { finalAnswer, sameAnswer } from "./index.ts";

const equal: [string, string][] = [
  ["1/2", "0.5"],
  ["0.5", "\\frac12"],
  ["\\frac{1}{2}", "\\dfrac12"],
  ["1,000", "1000"],
  ["1{,}000", "1000"],
  ["1\\,000", "1,000"],
  ["12,345,678.5", "12345678.50"],
  ["x=3", "3"],
  ["90^\\circ", "90"],
  ["90^{\\circ}", "90°"],
  ["90 degrees", "90"],
  ["{1,2}", "{2,1}"],
  ["\\{1,2\\}", "2, 1"],
  ["x=1 or x=2", "\\{2, 1\\}"],
  ["\\boxed{\\boxed{7}}", "7"],
  ["\\sqrt8", "2\\sqrt2"],
  ["\\sqrt{8}", "2√2"],
  ["\\sqrt[3]{27}", "3"],
  ["\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt 3}"],
  ["3\\frac12", "3.5"],
  ["-3\\frac12", "-7/2"],
  ["3 1/2", "3.5"],
  ["5\\text{ cm}", "5"],
  ["5 cm", "5 centimetres"],
  ["5 \\text{ cm}^2", "5 square centimeters"],
  ["42 apples", "42"],
  ["\\$18", "18"],
  ["$18$", "18 dollars"],
  ["60 km/h", "60"],
  ["(x+1)^2", "x^2+2x+1"],
  ["(x+1)(x-1)", "x^2-1"],
  ["x^2 + y", "y + x²"],
  ["y = 2x + 1", "2y - 4x = 2"],
  ["y = 2x + 1", "2x+1"],
  ["(1,2)", "(1, 2)"],
  ["(\\frac12, 3)", "(0.5,3)"],
  ["(-\\infty, 3]", "(-∞,3]"],
  ["[1,2)\\cup(3,4)", "(3,4) \\cup [1,2)"],
  ["\\pm 2", "{-2, 2}"],
  ["1 \\pm \\sqrt{2}", "1+\\sqrt2, 1-\\sqrt2"],
  ["\\begin{pmatrix} -1/3 \\\\ 2/3 \\end{pmatrix}", "\\begin{pmatrix}-\\frac13\\\\ \\frac23\\end{pmatrix}"],
  ["\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{bmatrix}1&2\\\\3&\\frac82\\end{bmatrix}"],
  ["x \\in [1,2)", "[1,2)"],
  ["52_8", "52_{8}"],
  ["k \\le 3", "k≤3"],
  ["\\binom{5}{2}", "10"],
  ["4^\\text{th}", "4"],
  ["|-3|", "3"],
  ["\\cot x", "\\frac{\\cos x}{\\sin x}"],
  ["h(x)=2x", "h(x) = x+x"],
  ["2\\pi", "2π"],
  ["50\\%", "0.5"],
  ["50\\%", "50"],
  ["50%", "50 percent"],
  ["1.2\\times10^3", "1200"],
  ["1e3", "1000"],
  ["5!", "120"],
  ["(C)", "C"],
  ["\\text{Tuesday}", "tuesday"],
  ["Yes.", "yes"],
  ["007", "7"],
  ["−4", "-4"],
  ["2^{10}", "1024"],
  ["x^{-1}", "1/x"],
  ["8^{1/3}", "2"],
  ["3+4i", "4i + 3"],
  ["\\sqrt{x^2+2x+1}", "\\sqrt{(x+1)^2}"],
];
const different: [string, string][] = [
  ["(1,2)", "(1,2]"],
  ["(1,2)", "(2,1)"],
  ["(1,2)", "[1,2]"],
  ["0.333", "1/3"],
  ["0.3333333333", "1/3"],
  ["", "0"],
  ["", ""],
  ["\\boxed{}", ""],
  ["\\boxed{}", "\\boxed{}"],
  [" ", "1"],
  ["5 cm", "5 m"],
  ["5 apples", "5 pears"],
  ["1,2", "1,2,3"],
  ["{1,2}", "{1,3}"],
  ["x", "y"],
  ["x^2", "x"],
  ["no", "on"],
  ["\\sqrt2", "1.414"],
  ["y=x", "y=2x"],
  ["\\pm2", "2"],
  ["50\\%", "5"],
  ["1/0", "2/0"],
  ["3", "3.0000000001"],
  ["10^{300}", "10^{300}+1"],
  ["1", "1=1"],
  ["\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&3\\\\2&4\\end{pmatrix}"],
  ["\\begin{pmatrix}1&2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"],
  ["k \\le 3", "k<3"],
  ["52_8", "52"],
];

describe("sameAnswer", () => {
  it.each(equal)("%s is %s", (a, b) => {
    expect(sameAnswer(a, b)).toBe(true);
    expect(sameAnswer(b, a)).toBe(true);
  });

  it.each(different)("%s is not %s", (a, b) => {
    expect(sameAnswer(a, b)).toBe(false);
    expect(sameAnswer(b, a)).toBe(false);
  });

  const hostile = [
    "100000!",
    "9^9^9^9",
    "9^{9^{9^{9}}}",
    "{".repeat(1e5),
    `${"{".repeat(1e5)}1${"}".repeat(1e5)}`,
    "(".repeat(900),
    "\\frac".repeat(190),
    "\\sqrt".repeat(190),
    "-".repeat(999),
    "1".repeat(1e6),
    "9".repeat(999),
    `${"9".repeat(300)}^${"9".repeat(300)}`,
    `(${"x+".repeat(400)}1)^99`,
    `${"(1+x)*".repeat(150)}1`,
    `${"1/(1+".repeat(38)}x${")".repeat(38)}`,
    "2^1000!!!!",
    "1e999999",
    "0.".padEnd(990, "1"),
    "٣",
    "３",
    "½",
    "𝟙𝟚",
    "process.exit(1)",
    "constructor",
    "__proto__",
    "x_{__proto__}=1",
    "\u0000",
    "\ud800",
    `{${"1,".repeat(480)}2}`,
    "(±(±(±(±1,±1),±1),±1),±1)",
    "\\boxed{".repeat(120),
    "$".repeat(1000),
    "^".repeat(1000),
    `${"9^".repeat(30)}9`,
    "(-8)^{1/3}",
    "0^0",
    "0^{-1}",
    "(0/0)",
    "\\sin(10^{600})",
  ];
  it.each(hostile.map((text) => [text.slice(0, 30), text]))("ends on %s", (_, text) => {
    const started = performance.now();
    for (const other of [...hostile, "1", "x", "(1,2)", "\\frac12"]) {
      expect(typeof sameAnswer(text, other)).toBe("boolean");
      expect(typeof sameAnswer(other, text)).toBe("boolean");
    }
    finalAnswer(text);
    // a hang guard, not a measurement: a hundred comparisons take some milliseconds each at most
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it("of any text never throws, and is the same as itself when it is not blank", () => {
    const sign = fc.constantFrom(
      ..."0123456789+-*/^_=(){}[],;!%|.<>$ xye\\",
      "\\frac",
      "\\sqrt",
      "\\boxed{",
      "\\text{",
      "\\pm",
      "\\cup",
      "√",
      "π",
      "cm",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(sign, { maxLength: 40 }).map((signs) => signs.join("")),
    );
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(sameAnswer(a, b)).toBe(sameAnswer(b, a));
        finalAnswer(a);
      }),
      { numRuns: 3000 },
    );
  });

  it("of whole numbers and fractions is equality", () => {
    const number = fc.integer({ min: -10_000, max: 10_000 });
    fc.assert(
      fc.property(number, number, fc.integer({ min: 1, max: 60 }), (a, b, d) => {
        expect(sameAnswer(`${a}`, `${b}`)).toBe(a === b);
        expect(sameAnswer(`\\frac{${a}}{${d}}`, `${a * 3}/${d * 3}`)).toBe(true);
        expect(sameAnswer(`${a}/${d}`, `${b}/${d}`)).toBe(a === b);
        expect(sameAnswer(`(x+${d})(x-${d})`, `x^2-${d * d}`)).toBe(true);
        expect(sameAnswer(`${a}x+${b}`, `${b}+x*${a}`)).toBe(true);
      }),
    );
  });
});

describe("finalAnswer", () => {
  it.each([
    ["So it is \\boxed{7}.", "7"],
    ["\\boxed{3} no, \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"],
    ["\\boxed{\\{1,2\\}}", "\\{1,2\\}"],
    ["<answer>12</answer>", "12"],
    ["<answer>so \\boxed{12}</answer> 13", "12"],
    ["16 - 3 = 13\n#### 13", "13"],
    ["The answer is 42.", "42"],
    ["**Answer:** 3.5", "3.5"],
    ["5", "5"],
    ["(1, 2]", "(1, 2]"],
    ["2 + 3 = 5.", "5"],
    ["Tom has 18 apples left.", "18"],
    ["It costs $1,200 in all.", "$1,200"],
    ["\\boxed{}", undefined],
    ["\\boxed{3", undefined],
    [" \n", undefined],
    ["<answer></answer>", undefined],
  ])("of %j is %j", (text, answer) => {
    expect(finalAnswer(text)).toBe(answer);
  });
});
