import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBf16, decodeE4m3, decodeF16, e4m3Code, encodeBf16, encodeE4m3, encodeF16 } from "./floats.ts";

const float = fc.float({ noNaN: true });
const formats = [
  {
    name: "bf16",
    codes: 65536,
    make: (n: number) => new Uint16Array(n),
    decode: decodeBf16,
    encode: encodeBf16,
    largest: 3.3895313892515355e38,
    overflow: Infinity,
  },
  {
    name: "f16",
    codes: 65536,
    make: (n: number) => new Uint16Array(n),
    decode: decodeF16,
    encode: encodeF16,
    largest: 65504,
    overflow: Infinity,
  },
  {
    name: "e4m3",
    codes: 256,
    make: (n: number) => new Uint8Array(n),
    decode: decodeE4m3,
    encode: encodeE4m3,
    largest: 448,
    overflow: 448,
  },
] as unknown as {
  name: string;
  codes: number;
  make: (n: number) => Uint16Array;
  decode: (codes: Uint16Array) => Float32Array;
  encode: (x: Float32Array) => Uint16Array;
  largest: number;
  overflow: number;
}[];

describe.each(formats)("$name", ({ codes, make, decode, encode, largest, overflow }) => {
  const all = make(codes).map((_, i) => i);
  const values = decode(all);
  /** Finite non-negative values in order, which is the order of their codes. */
  const finite = [...values.subarray(0, codes / 2)].filter(Number.isFinite);

  test("every code survives decoding and encoding; NaN stays NaN", () => {
    const again = encode(values);
    let nans = 0;
    for (let i = 0; i < codes; i++) {
      if (Number.isNaN(values[i])) {
        nans++;
        expect(decode(again.slice(i, i + 1))[0]).toBeNaN();
      } else if (Number.isFinite(values[i])) {
        if (again[i] !== i) expect([i, again[i]]).toEqual([i, i]);
      } else expect(decode(again.slice(i, i + 1))[0]).toBe(Math.sign(values[i]!) * overflow);
    }
    expect(nans).toBeGreaterThan(0);
    expect(finite[finite.length - 1]).toBe(largest);
  });

  test("any f32 goes to the nearest value, ties to the even code", () => {
    const nearest = (x: number): number => {
      const magnitude = Math.abs(x);
      let low = 0;
      let high = finite.length - 1;
      if (magnitude >= finite[high]!) {
        const step = finite[high]! - finite[high - 1]!;
        return magnitude >= finite[high]! + step / 2 ? overflow : finite[high]!;
      }
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (finite[middle]! <= magnitude) low = middle;
        else high = middle;
      }
      const below = magnitude - finite[low]!;
      const above = finite[high]! - magnitude;
      return finite[below < above ? low : above < below ? high : low % 2 === 0 ? low : high]!;
    };
    // Random numbers seldom hit ties or the subnormals: take midpoints and their neighbours as well.
    const nearTie = fc.integer({ min: 0, max: finite.length - 2 }).chain((i) => {
      const tie = (finite[i]! + finite[i + 1]!) / 2;
      return fc.constantFrom(tie, tie * (1 + 2 ** -23), tie * (1 - 2 ** -23), -tie);
    });
    fc.assert(
      fc.property(fc.oneof(float, nearTie), (value) => {
        const x = Math.fround(value);
        const got = decode(encode(Float32Array.of(x)))[0]!;
        expect(Math.abs(got)).toBe(nearest(x));
        expect(Object.is(got, -0) || got < 0).toBe(Object.is(x, -0) || x < 0);
      }),
      { numRuns: 3000 },
    );
  });
});

test("known values", () => {
  expect([...encodeBf16(Float32Array.of(1, -2, 3.140625, 1.00390625, 1.01171875))]).toEqual([
    0x3f80, 0xc000, 0x4049, 0x3f80, 0x3f82,
  ]);
  expect([...encodeF16(Float32Array.of(1, 65519, 65520, -(2 ** -24), 2 ** -25, 1.5 * 2 ** -24))]).toEqual([
    0x3c00, 0x7bff, 0x7c00, 0x8001, 0, 2,
  ]);
  expect([1, 448, 1e9, -Infinity, 2 ** -9, 2 ** -10, 1.5 * 2 ** -9, 17, 19].map(e4m3Code)).toEqual([
    0x38, 0x7e, 0x7e, 0xfe, 1, 0, 2, 0x58, 0x5a,
  ]);
});
