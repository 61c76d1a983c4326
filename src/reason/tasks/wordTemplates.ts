/** Number word problems of our own: texts with slots, and the steps that solve them. */

/** `a … d` are numbers of the text, `p, q, r` the results of the first, second, third step; the last is the answer. */
export type WordStep = readonly [left: string, operator: "+" | "-" | "*" | "/", right: string];

export interface WordTemplate {
  /** Slots: {a} … {d}, {name}, {other}, {things}. */
  text: string;
  steps: readonly WordStep[];
  /** Range of each number. */
  numbers: Readonly<Record<string, readonly [low: number, high: number]>>;
}

export const NAMES =
  "Anna Ben Mina Tom Yuna Sam Lena Joon Maria Ali Noor Ivan Chen Rosa Emil Hana Paul Aiko Omar Ines Lars Zoe Kofi Vera".split(
    " ",
  );
export const THINGS =
  "apples books shells coins stamps pears cards stones pencils marbles buttons cookies tickets beads eggs flowers".split(
    " ",
  );

const small = [2, 9] as const;
const medium = [4, 30] as const;
const large = [10, 90] as const;

export const WORD_TEMPLATES: readonly WordTemplate[] = [
  {
    text: "{name} has {a} {things} and buys {b} more. How many {things} does {name} have now?",
    steps: [["a", "+", "b"]],
    numbers: { a: large, b: large },
  },
  {
    text: "{name} had {a} {things} and gave {b} of them to {other}. How many {things} are left?",
    steps: [["a", "-", "b"]],
    numbers: { a: large, b: large },
  },
  {
    text: "A shelf has {a} rows with {b} {things} in each. How many {things} stand on the shelf?",
    steps: [["a", "*", "b"]],
    numbers: { a: small, b: medium },
  },
  {
    text: "{name} shares {a} {things} equally among {b} children. How many {things} does each child get?",
    steps: [["a", "/", "b"]],
    numbers: { a: large, b: small },
  },
  {
    text: "{name} packs {a} boxes with {b} {things} each, and {c} {things} are left over. How many {things} were there?",
    steps: [
      ["a", "*", "b"],
      ["p", "+", "c"],
    ],
    numbers: { a: small, b: medium, c: small },
  },
  {
    text: "{name} has {a} {things}, {other} has {b} more than {name}. How many {things} do they have together?",
    steps: [
      ["a", "+", "b"],
      ["a", "+", "p"],
    ],
    numbers: { a: medium, b: medium },
  },
  {
    text: "{name} has {a} {things}, {other} has {b} times as many. How many {things} do they have together?",
    steps: [
      ["a", "*", "b"],
      ["a", "+", "p"],
    ],
    numbers: { a: medium, b: small },
  },
  {
    text: "{name} had {a} {things}, lost {b} and then found {c}. How many {things} does {name} have now?",
    steps: [
      ["a", "-", "b"],
      ["p", "+", "c"],
    ],
    numbers: { a: large, b: medium, c: medium },
  },
  {
    text: "A ticket costs {a} dollars. {name} buys {b} tickets and pays with {c} dollars. How many dollars does {name} get back?",
    steps: [
      ["a", "*", "b"],
      ["c", "-", "p"],
    ],
    numbers: { a: small, b: small, c: [20, 100] },
  },
  {
    text: "A class of {a} children forms teams of {b}. Each team needs {c} {things}. How many {things} are needed?",
    steps: [
      ["a", "/", "b"],
      ["p", "*", "c"],
    ],
    numbers: { a: medium, b: small, c: small },
  },
  {
    text: "{name} reads {a} pages a day for {b} days and has {c} pages left. How many pages has the book?",
    steps: [
      ["a", "*", "b"],
      ["p", "+", "c"],
    ],
    numbers: { a: medium, b: small, c: medium },
  },
  {
    text: "A book has {a} pages. {name} has read {b} pages and reads {c} pages a day from now on. In how many days is the book finished?",
    steps: [
      ["a", "-", "b"],
      ["p", "/", "c"],
    ],
    numbers: { a: [40, 99], b: medium, c: small },
  },
  {
    text: "A bus carries {a} people. At a stop {b} get off and {c} get on. How many people are in the bus now?",
    steps: [
      ["a", "-", "b"],
      ["p", "+", "c"],
    ],
    numbers: { a: medium, b: medium, c: small },
  },
  {
    text: "{name} saves {a} dollars a week. After {b} weeks {name} spends {c} dollars. How many dollars are left?",
    steps: [
      ["a", "*", "b"],
      ["p", "-", "c"],
    ],
    numbers: { a: small, b: medium, c: medium },
  },
  {
    text: "{name} and {other} pick {a} and {b} {things} and share them equally. How many {things} does each of the two get?",
    steps: [
      ["a", "+", "b"],
      ["p", "/", "2"],
    ],
    numbers: { a: large, b: large },
  },
  {
    text: "A farmer has {a} hens. Each lays {b} eggs a week. He sells the eggs in boxes of {c}. How many boxes does he fill in a week?",
    steps: [
      ["a", "*", "b"],
      ["p", "/", "c"],
    ],
    numbers: { a: medium, b: small, c: small },
  },
  {
    text: "{name} bakes {a} trays of {b} cookies. {c} cookies burn. How many cookies are good?",
    steps: [
      ["a", "*", "b"],
      ["p", "-", "c"],
    ],
    numbers: { a: small, b: medium, c: small },
  },
  {
    text: "A rope of {a} metres is cut into pieces of {b} metres. How many pieces are there?",
    steps: [["a", "/", "b"]],
    numbers: { a: large, b: small },
  },
  {
    text: "A garden is {a} metres long and {b} metres wide. How many metres of fence go around it?",
    steps: [
      ["a", "+", "b"],
      ["p", "*", "2"],
    ],
    numbers: { a: medium, b: medium },
  },
  {
    text: "A room is {a} metres long and {b} metres wide. How many square metres has its floor?",
    steps: [["a", "*", "b"]],
    numbers: { a: small, b: medium },
  },
  {
    text: "{name} walks {a} kilometres each hour for {b} hours and then {c} kilometres more. How many kilometres is that?",
    steps: [
      ["a", "*", "b"],
      ["p", "+", "c"],
    ],
    numbers: { a: small, b: small, c: medium },
  },
  {
    text: "{name} is {a} years old. {other} is {b} years younger. How old will {other} be in {c} years?",
    steps: [
      ["a", "-", "b"],
      ["p", "+", "c"],
    ],
    numbers: { a: medium, b: small, c: small },
  },
  {
    text: "{name} buys {a} {things} for {b} dollars each and {c} bags for {d} dollars each. How many dollars does {name} pay?",
    steps: [
      ["a", "*", "b"],
      ["c", "*", "d"],
      ["p", "+", "q"],
    ],
    numbers: { a: small, b: small, c: small, d: small },
  },
  {
    text: "{name} has {a} boxes of {b} {things}, {other} has {c} boxes of {d}. How many more {things} does {name} have?",
    steps: [
      ["a", "*", "b"],
      ["c", "*", "d"],
      ["p", "-", "q"],
    ],
    numbers: { a: small, b: medium, c: small, d: medium },
  },
  {
    text: "A tank holds {a} litres. {b} litres flow in each minute, and {c} litres are in it already. In how many minutes is it full?",
    steps: [
      ["a", "-", "c"],
      ["p", "/", "b"],
    ],
    numbers: { a: large, b: small, c: medium },
  },
  {
    text: "{name} had {a} {things}. {name} gave {b} to each of {c} friends. How many {things} are left?",
    steps: [
      ["b", "*", "c"],
      ["a", "-", "p"],
    ],
    numbers: { a: large, b: small, c: small },
  },
  {
    text: "A shop had {a} {things}, sold {b} in the morning and {c} in the afternoon. How many {things} are left?",
    steps: [
      ["b", "+", "c"],
      ["a", "-", "p"],
    ],
    numbers: { a: [40, 99], b: medium, c: medium },
  },
  {
    text: "In a hall are {a} rows of {b} seats. {c} seats are taken. How many seats are free?",
    steps: [
      ["a", "*", "b"],
      ["p", "-", "c"],
    ],
    numbers: { a: small, b: medium, c: medium },
  },
  {
    text: "{name} collects {a} {things} on Monday, {b} on Tuesday and {c} on Wednesday. How many {things} is that in all?",
    steps: [
      ["a", "+", "b"],
      ["p", "+", "c"],
    ],
    numbers: { a: medium, b: medium, c: medium },
  },
  {
    text: "{a} {things} are put into bags of {b}. {c} bags are sold. How many bags are left?",
    steps: [
      ["a", "/", "b"],
      ["p", "-", "c"],
    ],
    numbers: { a: large, b: small, c: small },
  },
];
