import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { briefJson, checkJsonDepth, JSON_DEPTH, JsonBoundError, JsonScan, parseJson } from "./json.ts";

const nested = (levels: number, open = "[", close = "]", inner = ""): string =>
  open.repeat(levels) + inner + close.repeat(levels);

describe("how deep JSON may be", () => {
  test.each([
    ["lists", "[", "]", ""],
    ["objects", '{"a":', "}", "1"],
  ])("%s", (_, open, close, inner) => {
    expect(JSON.stringify(parseJson(nested(JSON_DEPTH, open, close, inner)))).toBe(
      nested(JSON_DEPTH, open, close, inner),
    );
    for (const levels of [JSON_DEPTH + 1, 100_000])
      expect(() => parseJson(nested(levels, open, close, inner))).toThrow(`nested deeper than ${JSON_DEPTH} levels`);
    expect(() => parseJson(open.repeat(100_000))).toThrow(`nested deeper than ${JSON_DEPTH} levels`);
  });

  test("brackets in texts and comments are none, those behind them are", () => {
    const quoted = '{"a": "\\"' + "[".repeat(1000) + '\\\\", "b": "\\\\"}';
    expect(parseJson(quoted)).toEqual({ a: `"${"[".repeat(1000)}\\`, b: "\\" });
    const comments = `// don't " [[[\n/* ${"[".repeat(1000)} **/ {"a": 1 /* " */} // ${"{".repeat(1000)}`;
    expect(() => checkJsonDepth(comments)).not.toThrow();
    for (const before of ['"\\\\"', '"\\""', '// "\n', '/* " */', "/*/ */", "/***/", "1/2 "])
      expect(() => checkJsonDepth(before + nested(JSON_DEPTH + 1))).toThrow(JsonBoundError);
  });

  test("of any JSON it counts what is there, however it is cut", () => {
    const depthOf = (value: unknown): number =>
      typeof value !== "object" || value === null ? 0 : 1 + Math.max(0, ...Object.values(value).map(depthOf));
    // an empty list counts as one of one item
    const count = (value: unknown, of: "values" | "keys"): number => {
      if (typeof value !== "object" || value === null) return 0;
      const own = Object.keys(value).length;
      return Object.values(value).reduce<number>(
        (sum, item) => sum + count(item, of),
        of === "values" ? Math.max(1, own) : Array.isArray(value) ? 0 : own,
      );
    };
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 6 }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        (value, size, spaced) => {
          const bytes = new TextEncoder().encode(JSON.stringify(value, null, spaced ? 1 : undefined));
          const passes = (bounds: ConstructorParameters<typeof JsonScan>[0]): boolean => {
            const scan = new JsonScan(bounds);
            try {
              for (let at = 0; at < bytes.length; at += size) scan.push(bytes.subarray(at, at + size));
              return true;
            } catch (error) {
              expect(error).toBeInstanceOf(JsonBoundError);
              return false;
            }
          };
          expect(passes({ depth: depthOf(value) })).toBe(true);
          expect(passes({ depth: depthOf(value) - 1 })).toBe(depthOf(value) === 0);
          for (const bound of ["keys", "values"] as const) {
            const most = count(value, bound);
            expect(passes({ [bound]: most })).toBe(true);
            if (most > 0) expect(passes({ [bound]: most - 1 })).toBe(false);
          }
        },
      ),
    );
    expect(() => new JsonScan({ values: 3 }).push(new TextEncoder().encode("[1,2,3,4]"))).toThrow("more than 3 values");
    expect(() => new JsonScan({ values: 4 }).push(new TextEncoder().encode("[1,2,3,4]"))).not.toThrow();
  });
});

test("the beginning of a value is its JSON, and a large one is not walked through", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const whole = JSON.stringify(value);
      const brief = briefJson(value, 1000);
      if (!brief.includes("…")) expect(brief).toBe(whole);
    }),
  );
  const wide = new Proxy([...Array(1000).keys()], {
    get: (list, key) => (key === "100" ? expect.fail("looked at all") : (Reflect.get(list, key) as unknown)),
  });
  expect(briefJson(wide)).toMatch(/^\[0,1,2,.*,19,…\]$/);
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  expect(briefJson(deep)).toBe("[[[[[[[[…]]]]]]]]");
  expect(briefJson("x".repeat(1e6)).length).toBeLessThan(200);
});
