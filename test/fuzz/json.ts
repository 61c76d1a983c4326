// Mutations of JSON by its structure: what a person, a program of another version or an attacker makes of a valid file.
import type { Random } from "./random.ts";

/** JSON with its text kept, so that it can say what JSON.stringify cannot: NaN, keys told twice, nesting without end. */
type Node =
  | { kind: "object"; entries: [key: string, value: Node][] }
  | { kind: "array"; items: Node[] }
  | { kind: "raw"; text: string };

const raw = (text: string): Node => ({ kind: "raw", text });

export function nodeOf(value: unknown): Node {
  if (Array.isArray(value)) return { kind: "array", items: value.map(nodeOf) };
  if (typeof value === "object" && value !== null)
    return { kind: "object", entries: Object.entries(value).map(([key, inner]) => [key, nodeOf(inner)]) };
  return raw(JSON.stringify(value) ?? "null");
}

function print(node: Node): string {
  if (node.kind === "raw") return node.text;
  if (node.kind === "array") return `[${node.items.map(print).join(",")}]`;
  return `{${node.entries.map(([key, value]) => `${JSON.stringify(key)}:${print(value)}`).join(",")}}`;
}

/** A place that holds a node: of the whole, or of a list or object. */
interface Place {
  node: Node;
  parent?: Node;
  index: number;
  set(node: Node): void;
}

function placesOf(root: { node: Node }): Place[] {
  const places: Place[] = [{ node: root.node, index: 0, set: (node) => void (root.node = node) }];
  for (let i = 0; i < places.length; i++) {
    const { node } = places[i] as Place;
    if (node.kind === "array")
      node.items.forEach((item, index) =>
        places.push({ node: item, parent: node, index, set: (to) => void (node.items[index] = to) }),
      );
    if (node.kind === "object")
      node.entries.forEach((entry, index) =>
        places.push({ node: entry[1], parent: node, index, set: (to) => void (entry[1] = to) }),
      );
  }
  return places;
}

const NUMBERS = [
  "0",
  "-0",
  "-1",
  "1",
  "2",
  "0.5",
  "-0.001",
  "1e30",
  "-1e30",
  "1e308",
  "1e400",
  "-1e400",
  "5e-324",
  "NaN",
  "Infinity",
  "0x10",
  "01",
  "1.",
  "+1",
  "63",
  "128",
  "4096",
  "65536",
  "16777216",
  "2147483647",
  "2147483648",
  "4294967296",
  "1e9",
  "1e12",
  "9007199254740991",
  "9007199254740993",
  "1e15",
  "123456789012345678901234567890",
];
const VALUES = [
  "null",
  "true",
  "false",
  '""',
  '"x"',
  "[]",
  "{}",
  "[[]]",
  "[null]",
  "[{}]",
  '{"a":1}',
  '["a","b"]',
  "[0]",
  "[1,2,3]",
  "[-1]",
  "[1e30,1e30]",
  '"1"',
  '"NaN"',
  '"1e30"',
  '"true"',
  '[["a",1]]',
  '{"length":1e9}',
  '{"0":1}',
  '{"toString":1}',
  '{"constructor":null}',
  '{"__proto__":{"a":1}}',
];
const TEXTS = [
  "",
  " ",
  "\0",
  "\uD800",
  "\uDC00\uD800",
  "\uFEFF",
  "é",
  "\u{1F600}",
  "../../../../etc/passwd",
  "/dev/zero",
  "C:\\con",
  ".",
  "..",
  "a/b",
  "%s%n",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "<｜User｜>",
  "</think>",
  "(a+)+$",
  "(?=a)*",
  "[",
  "\\",
  "(?<!",
  "\\p{Nope}",
  "$&",
  "{% for i in range(1000000000) %}x{% endfor %}",
  "{{ messages }}",
  "1e999",
  "-5T",
  "2026-13-45",
  "2024-02-30",
  "\u001b[31m",
  "\n\n\n",
];
const DEPTHS = [30, 300, 3_000, 30_000, 100_000];
const COUNTS = [2, 3, 17, 1_000, 30_000];
/** No mutation makes more text than this. */
const TEXT_MAX = 1_000_000;

const isNumber = (node: Node): boolean => node.kind === "raw" && /^-?\d/.test(node.text);
const isText = (node: Node): boolean => node.kind === "raw" && node.text.startsWith('"');
const many = (text: string, count: number): string =>
  text.repeat(Math.max(1, Math.min(count, Math.floor(TEXT_MAX / Math.max(1, text.length)))));

/** Texts that stand for a value, somewhere between a typing error and an attack. */
function otherText(old: string, random: Random): string {
  switch (random.below(6)) {
    case 0:
      return random.pick(TEXTS);
    case 1:
      return many(
        random.pick(["a", "é", " ", "\n", "7", "ab ", "\u{1F600}", old.slice(0, 40) || "x"]),
        random.pick([10, 1_000, 100_000, 1_000_000]),
      );
    case 2:
      return old.slice(0, random.below(old.length + 1));
    case 3:
      return old + random.pick(TEXTS);
    case 4: {
      const at = random.below(old.length + 1);
      return old.slice(0, at) + random.pick(TEXTS) + old.slice(at);
    }
    default:
      return old.toUpperCase() === old ? old.toLowerCase() : old.toUpperCase();
  }
}

function otherNumber(old: string, random: Random): string {
  const value = Number(old);
  const near = [value + 1, value - 1, -value, value * 2, value / 2, value * 1e3, value + 0.5, value * 1e9]
    .filter(Number.isFinite)
    .map(String);
  return random.oneIn(3) ? random.pick(near.length > 0 ? near : NUMBERS) : random.pick(NUMBERS);
}

/** Changes one place. */
function mutateOnce(root: { node: Node }, random: Random): void {
  const places = placesOf(root);
  // Long lists of one kind must not hide the few fields that matter: half of the time a place near the top.
  const top = places.slice(0, 60);
  const place = random.oneIn(2) ? random.pick(top) : random.pick(places);
  const { node, parent } = place;
  switch (random.below(10)) {
    case 0:
      return place.set(raw(random.pick(VALUES)));
    case 1:
    case 2:
      if (isNumber(node)) return place.set(raw(otherNumber((node as { text: string }).text, random)));
      if (isText(node))
        return place.set(raw(JSON.stringify(otherText(JSON.parse((node as { text: string }).text) as string, random))));
      return place.set(raw(random.pick(VALUES)));
    case 3:
      if (parent?.kind === "object") parent.entries.splice(place.index, 1);
      else if (parent?.kind === "array") parent.items.splice(place.index, 1);
      return;
    case 4: {
      const count = random.pick(COUNTS);
      if (parent?.kind === "object")
        parent.entries.splice(place.index, 0, [
          (parent.entries[place.index] as [string, Node])[0],
          raw(random.pick([...VALUES, ...NUMBERS])),
        ]);
      else if (parent?.kind === "array") place.set(raw(many(`${print(node)},`, count).slice(0, -1)));
      return;
    }
    case 5: {
      if (parent?.kind !== "object") return;
      const entry = parent.entries[place.index] as [string, Node];
      entry[0] = random.oneIn(2)
        ? random.pick(parent.entries)[0]
        : random.oneIn(3)
          ? otherText(entry[0], random)
          : random.pick(TEXTS);
      return;
    }
    case 6: {
      const depth = random.pick(DEPTHS);
      const [open, close] = random.pick([
        ["[", "]"],
        ['{"a":', "}"],
      ] as const);
      return place.set(raw(open.repeat(depth) + print(node).slice(0, TEXT_MAX) + close.repeat(depth)));
    }
    case 7:
      // Another place's value, cut short where that is long.
      return place.set(raw(print(random.pick(places).node).slice(0, TEXT_MAX)));
    case 8: {
      const added = raw(random.pick([...VALUES, ...NUMBERS]));
      if (node.kind === "object") node.entries.push([random.pick(TEXTS), added]);
      else if (node.kind === "array") node.items.push(added);
      else
        place.set(
          isNumber(node) ? raw(JSON.stringify((node as { text: string }).text)) : { kind: "array", items: [node] },
        );
      return;
    }
    default: {
      if (node.kind === "array" && node.items.length > 0)
        return place.set(raw(`[${many(`${print(random.pick(node.items))},`, random.pick(COUNTS)).slice(0, -1)}]`));
      if (node.kind === "object" && node.entries.length > 0) {
        const [key, value] = random.pick(node.entries);
        const text = print(value);
        const count = Math.min(random.pick(COUNTS), Math.floor(TEXT_MAX / (text.length + key.length + 12)));
        return place.set(
          raw(`{${Array.from({ length: count }, (_, i) => `${JSON.stringify(`${key}${i}`)}:${text}`).join(",")}}`),
        );
      }
      return place.set(raw(random.pick([...VALUES, ...NUMBERS])));
    }
  }
}

/** JSON text with one to three places changed. */
export function mutateJson(text: string, random: Random): string {
  const root = { node: nodeOf(JSON.parse(text) as unknown) };
  for (let times = 1 + random.below(3); times > 0; times--) mutateOnce(root, random);
  return print(root.node);
}
