// Mutations of files: by their structure where they have one, by their bytes everywhere.
import { createHash } from "node:crypto";
import { contentHash, type DatasetJson } from "../../src/data/dataset.ts";
import { mutateJson } from "./json.ts";
import type { Random } from "./random.ts";

/** What a file is, as far as mutations know it. */
export type FileKind = "json" | "sealed" | "jsonl" | "safetensors" | "gguf" | "template" | "bytes";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const EDGES = [0, 1, 0x0a, 0x22, 0x5b, 0x7b, 0x7f, 0x80, 0xc0, 0xed, 0xff];
const TRUNCATED = ["", "\0", "{", "[", '"', "null", "0", "[]", "{}", "\uFEFF{}", "PAR1", "<html>"];
const BYTES_MAX = 4_000_000;

/** Flips, cuts, doubles and inserts bytes. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.oneIn(40)) return encoder.encode(random.pick(TRUNCATED));
  if (random.oneIn(40)) return asUtf16(bytes);
  let out = Uint8Array.from(bytes);
  for (let times = 1 + random.below(4); times > 0 && out.length > 0; times--) {
    // Headers and footers stand at the ends: half of the changes go there.
    const end = Math.min(out.length, 64);
    const at = random.oneIn(4)
      ? random.below(end)
      : random.oneIn(3)
        ? out.length - 1 - random.below(end)
        : random.below(out.length);
    const length = Math.min(out.length - at, 1 + random.below(random.pick([1, 8, 64, 4096])));
    switch (random.below(7)) {
      case 0:
      case 1:
        out[at] = (out[at] as number) ^ (1 << random.below(8));
        break;
      case 2:
        out[at] = random.pick(EDGES);
        break;
      case 3:
        out = out.slice(0, at);
        break;
      case 4:
        out = joined(out.subarray(0, at), out.subarray(at + length));
        break;
      case 5: {
        const part = out.subarray(at, at + length);
        const count = Math.min(random.pick([1, 2, 100, 10_000]), Math.floor(BYTES_MAX / part.length));
        out = joined(out.subarray(0, at), ...Array.from({ length: count }, () => part), out.subarray(at));
        break;
      }
      default:
        out = joined(
          out.subarray(0, at),
          Uint8Array.from({ length }, () => (random.oneIn(2) ? random.pick(EDGES) : random.below(256))),
          out.subarray(at),
        );
    }
  }
  return out;
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Little-endian, with a mark before it. */
function asUtf16(bytes: Uint8Array): Uint8Array {
  const text = `\uFEFF${decoder.decode(bytes.subarray(0, BYTES_MAX))}`;
  return Uint8Array.from({ length: text.length * 2 }, (_, i) =>
    i % 2 === 0 ? text.charCodeAt(i >> 1) & 0xff : text.charCodeAt(i >> 1) >> 8,
  );
}

/** A length, that many bytes of JSON, data: the JSON changed by its structure, or the length by itself. */
function mutateSafetensors(bytes: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  const header = encoder.encode(mutateJson(decoder.decode(bytes.subarray(8, 8 + length)), random));
  const first = new Uint8Array(8);
  const said = random.oneIn(12)
    ? random.pick([
        0n,
        1n,
        BigInt(header.length + 1),
        100_000_000n,
        100_000_001n,
        2n ** 32n,
        2n ** 53n,
        2n ** 63n,
        2n ** 64n - 1n,
      ])
    : BigInt(header.length);
  new DataView(first.buffer).setBigUint64(0, said, true);
  const data = bytes.subarray(8 + length);
  return joined(first, header, random.oneIn(8) ? data.subarray(0, random.below(data.length + 1)) : data);
}

/** Counts, lengths, types, places and numbers of the header, which has the first few thousand bytes, changed where they stand. */
function mutateGguf(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.oneIn(4)) return mutateBytes(bytes, random);
  const out = Uint8Array.from(bytes);
  const view = new DataView(out.buffer);
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(Math.min(out.length - 8, random.pick([64, 1_500, 6_000, 40_000])));
    switch (random.below(4)) {
      case 0:
        out[at] = (out[at] as number) ^ (1 << random.below(8));
        break;
      case 1:
        out[at] = random.pick(EDGES);
        break;
      case 2:
        view.setUint32(at, random.pick([0, 1, 9, 64, 65_536, 2 ** 31, 2 ** 32 - 1]), true);
        break;
      default:
        view.setBigUint64(
          at,
          random.pick([0n, 1n, 33n, 4_000_000n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]),
          true,
        );
    }
  }
  return out;
}

function mutateLines(bytes: Uint8Array, random: Random): Uint8Array {
  const lines = decoder
    .decode(bytes)
    .split("\n")
    .filter((line) => line !== "");
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(lines.length);
    const line = lines[at] as string;
    if (random.oneIn(6)) lines.splice(at, 1);
    else if (random.oneIn(6))
      lines.splice(
        at,
        0,
        ...Array.from(
          { length: Math.min(random.pick([1, 2, 500]), Math.ceil(BYTES_MAX / (line.length + 1))) },
          () => line,
        ),
      );
    else if (random.oneIn(6)) lines[at] = decoder.decode(mutateBytes(encoder.encode(line), random));
    else if (line.length < TREE_MAX) lines[at] = isJson(line) ? mutateJson(line, random) : "{}";
    if (lines.length === 0) lines.push("");
  }
  return encoder.encode(`${lines.join("\n")}${random.oneIn(4) ? "" : "\n"}`);
}

const isJson = (line: string): boolean => {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
};

/** What a change has made long is not taken apart again: it would only cost time. */
const TREE_MAX = 300_000;

/** A state.json or dataset.json whose digest is right again: otherwise nothing behind the digest would ever be met. */
function mutateSealed(text: string, random: Random): string {
  const changed = mutateJson(text, random);
  try {
    const { digest: _, ...rest } = JSON.parse(changed) as Record<string, unknown>;
    if ("hash" in rest) return JSON.stringify({ ...rest, hash: contentHash(rest as unknown as DatasetJson) });
    return JSON.stringify({ digest: createHash("sha256").update(JSON.stringify(rest)).digest("hex"), ...rest });
  } catch {
    return changed;
  }
}

/** Pieces of Jinja, some that never end and some that are no Jinja. */
const PIECES = [
  "{% for i in range(1000000000) %}x{% endfor %}",
  "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
  "{% for i in range(-5) %}{% endfor %}",
  "{% for a, b in messages %}{{ a }}{% endfor %}",
  "{% for c in 5 %}{% endfor %}",
  "{% for c in messages[0].content %}{{ c }}{% endfor %}",
  "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
  "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(1) }}",
  "{% set s = 'aaaaaaaaaa' %}{% for i in range(40) %}{% set s = s + s %}{% endfor %}{{ s }}",
  "{% set ns = namespace(s='aaaaaaaaaa') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s | length }}",
  "{{ 'x' * 1000000000 }}",
  "{{ ['x'] * 1000000000 }}",
  "{{ range(1000000000) | list | length }}",
  "{{ range(100000) | join(messages | tojson) }}",
  "{{ messages | tojson(indent=100000000) }}",
  "{{ 'ab' | replace('', messages | tojson) }}",
  "{{ messages | map(attribute='nothing') | list }}",
  "{{ messages[1e9].content }}",
  "{{ messages['x'] }}",
  "{{ nothing.of.the.sort }}",
  "{{ none.x }}",
  "{{ messages.content.x.y }}",
  "{{ raise_exception('no') }}",
  "{{ raise_exception() }}",
  "{{ messages | nosuchfilter }}",
  "{{ messages is nosuchtest }}",
  "{{ nosuchfunction() }}",
  "{{ 1 / 0 }}",
  "{{ 1 % 0 }}",
  "{{ -'a' }}",
  "{{ 'a' < 1 }}",
  "{{ messages + 1 }}",
  "{{ [] + {} }}",
  "{{ {}['a']['b'] }}",
  "{{ 'a'.split('').x }}",
  "{{ strftime_now(messages) }}",
  "{% if %}",
  "{% endif %}",
  "{% for %}",
  "{{",
  "}}",
  "{%",
  "%}",
  "{#",
  "#}",
  "{{ 'a }}",
  "{{ ( }}",
  "{% set %}",
  "{% set a.b.c = 1 %}",
  "{% set 1 = 2 %}",
  "{% call m() %}{% endcall %}",
  "{% filter upper %}a{% endfilter %}",
  "{% break %}",
  "{% generation %}{% endgeneration %}",
  "{{ messages.__proto__ }}",
  "{{ messages.constructor.constructor('return process')() }}",
  "{{ ''.constructor }}",
  "{{ self }}",
  "{{ bos_token.toString() }}",
];
const NESTED: readonly (readonly [string, string])[] = [
  ["{% if true %}", "{% endif %}"],
  ["{% for i in [1] %}", "{% endfor %}"],
  ["{{ ", " }}"],
  ["{{ (", ") }}"],
  ["{# ", " #}"],
];

function mutateTemplate(text: string, random: Random): string {
  let out = text;
  for (let times = 1 + random.below(2); times > 0; times--) {
    // Between tags, where a piece is read as one.
    const cuts = [
      0,
      out.length,
      ...[...out.matchAll(/[%}]\}/g)].map((match) => match.index + 2),
      ...[...out.matchAll(/\{[%{]/g)].map((match) => match.index),
    ];
    const at = random.oneIn(5) ? random.below(out.length + 1) : random.pick(cuts);
    if (random.oneIn(8)) {
      const [open, close] = random.pick(NESTED);
      const depth = random.pick([3, 300, 10_000]);
      out = out.slice(0, at) + open.repeat(depth) + close.repeat(depth) + out.slice(at);
    } else if (random.oneIn(8)) out = out.slice(0, at);
    else if (random.oneIn(8)) out = out.slice(0, at) + out.slice(at + random.below(40));
    else if (random.oneIn(12))
      out =
        out.slice(0, at) +
        `{{ ${random.pick(["(", "[", "-", "not ", "{'a':"]).repeat(random.pick([20, 2_000, 50_000]))}1 }}` +
        out.slice(at);
    else if (random.oneIn(12))
      out = out.slice(0, at) + "{% set a = 1 %}{{ a }}".repeat(random.pick([10, 10_000, 100_000])) + out.slice(at);
    else out = out.slice(0, at) + random.pick(PIECES) + out.slice(at);
  }
  return out;
}

/** A file of a kind, changed. */
export function mutate(bytes: Uint8Array, kind: FileKind, random: Random): Uint8Array {
  // Every kind is also only bytes.
  if (kind === "bytes" || random.oneIn(6) || ((kind === "json" || kind === "sealed") && bytes.length > TREE_MAX))
    return mutateBytes(bytes, random);
  if (kind === "safetensors") return mutateSafetensors(bytes, random);
  if (kind === "gguf") return mutateGguf(bytes, random);
  if (kind === "jsonl") return mutateLines(bytes, random);
  if (kind === "sealed") return encoder.encode(mutateSealed(decoder.decode(bytes), random));
  if (kind === "template") return encoder.encode(mutateTemplate(decoder.decode(bytes), random));
  return encoder.encode(mutateJson(decoder.decode(bytes), random));
}
