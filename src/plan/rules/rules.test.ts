import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHIP_FACTS, factsOf, parseChip } from "../chips.ts";
import type { ChipFacts } from "../types.ts";
import { countryOf, dayOf, legality, legalOn, obtainable, spans, VERSIONS, type Verdict, versionOn } from "./index.ts";

const on = (chip: string, date: string, to = "CN", headquarters?: string) =>
  legality({ chip: factsOf(chip), date, to, headquarters });

/**
 * By hand from the published classes, for China: under the rule of 2022, that of 2023, and in 2026. "letter" stands for a licence asked by letter
 * alone; "-" in 2022 is a chip whose I/O or performance is below; GP10 is the guidance of May 2025.
 */
const CLASSES: [chip: string, in2022: Verdict, in2023: [Verdict, string], in2026: [Verdict, string]][] = [
  ["v100", "free", ["free", "none"], ["free", "none"]],
  ["a100-40", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["a100-80", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["a800", "free", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["h100", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["h100-pcie", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["h800", "free", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["h20", "free", ["free", "none"], ["licence", "none"]],
  ["h200", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["b200", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["b300", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["gb200", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["rubin", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["l40s", "free", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["l20", "free", ["free", "none"], ["free", "none"]],
  ["rtx-4090", "free", ["notify", "3A090.a"], ["notify", "3A090.a"]],
  ["rtx-4090d", "free", ["free", "none"], ["free", "none"]],
  ["rtx-5090", "free", ["notify", "3A090.a"], ["notify", "3A090.a"]],
  ["rtx-5090d", "free", ["free", "none"], ["free", "none"]],
  ["rtx-5090d-v2", "free", ["free", "none"], ["free", "none"]],
  ["mi300x", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["mi325x", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["mi308x", "free", ["free", "none"], ["licence", "none"]],
  ["ascend-910b", "free", ["free", "3A090.a"], ["licence", "3A090.a"]],
  ["ascend-910c", "free", ["free", "3A090.a"], ["licence", "3A090.a"]],
  ["ascend-950pr", "free", ["free", "3A090.a"], ["licence", "3A090.a"]],
  ["ascend-950dt", "free", ["free", "3A090.a"], ["licence", "3A090.a"]],
  ["mlu370-x8", "free", ["free", "unknown"], ["unknown", "unknown"]],
  ["mlu590", "free", ["free", "3A090.a"], ["licence", "3A090.a"]],
  ["tpu-v5p", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["tpu-v6e", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["tpu-v7", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["trainium2", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["gaudi-3", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["mi350x", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["mi355x", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["gb300", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["b30a", "denial", ["denial", "3A090.a"], ["denial", "3A090.a"]],
  ["gh200", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["h100-nvl", "denial", ["denial", "3A090.a"], ["case-by-case", "3A090.a"]],
  ["l40", "free", ["notify", "3A090.b"], ["notify", "3A090.b"]],
  ["rtx-pro-6000d", "free", ["free", "none"], ["free", "none"]],
  ["ascend-910d", "free", ["free", "unknown"], ["unknown", "unknown"]],
];

describe("every chip in every era, to China", () => {
  it("covers the table", () => {
    expect(CLASSES.map(([chip]) => chip).sort()).toEqual(Object.keys(CHIP_FACTS).sort());
  });
  it.each(CLASSES)("%s", (chip, in2022, in2023, in2026) => {
    expect(on(chip, "2022-08-25").verdict).toBe("free");
    for (const date of ["2022-10-21", "2023-06-01", "2023-10-22"]) expect(on(chip, date).verdict).toBe(in2022);
    for (const date of ["2023-11-17", "2024-04-03", "2024-12-31", "2025-04-08"])
      expect([on(chip, date).verdict, on(chip, date).eccn]).toEqual(in2023);
    for (const date of ["2026-01-15", "2026-09-01"])
      expect([on(chip, date).verdict, on(chip, date).eccn]).toEqual(in2026);
  });
});

describe("the cases that matter", () => {
  const says = (chip: string, date: string) =>
    on(chip, date)
      .tests.map((test) => test.says)
      .join("\n");

  it("A800 and H800 pass by their links until 2023-10-22, are bound by a letter from the next day, and by the rule from 2023-11-17", () => {
    expect(on("h800", "2023-10-22")).toMatchObject({ eccn: "none", licence: "none", verdict: "free", letters: [] });
    for (const date of ["2023-10-23", "2023-11-16"]) {
      expect(on("h800", date)).toMatchObject({
        eccn: "none",
        licence: "none",
        verdict: "licence",
        letters: [{ to: "NVIDIA", from: "2023-10-23", until: "2023-11-17" }],
      });
      expect(
        on("h800", date)
          .sources.map(({ title }) => title)
          .join(),
      ).toContain("8-K of 2023-10-24");
    }
    expect(says("h800", "2023-11-16")).toContain("I/O 528 GB/s < 600 GB/s and bits × TOPS 15,832 >= 4,800");
    expect(on("h800", "2023-11-17")).toMatchObject({
      eccn: "3A090.a",
      licence: "required",
      review: { policy: "denial" },
    });
    expect(says("h800", "2023-11-17")).toContain("TPP 15,832 >= 4,800");
    expect(obtainable(factsOf("a800"), "CN", "2024-12-27")).toMatchObject({
      known: true,
      ever: true,
      from: "2022-11-01",
      until: "2023-10-22",
      ended: "a letter to NVIDIA of 2023-10-23",
    });
    expect(obtainable(factsOf("h800"), "CN", "2024-12-27")).toMatchObject({ from: "2023-03-01", until: "2023-10-22" });
    expect(
      obtainable(factsOf("h800"), "CN", "2024-12-27")
        .sources.map(({ title }) => title)
        .join(),
    ).toContain("8-K of 2023-10-24");
    expect(obtainable(factsOf("rtx-4090"), "CN", "2024-12-27")).toMatchObject({
      from: "2022-10-01",
      short: "since 2022-10-01",
    });
    expect(obtainable(factsOf("h100"), "CN", "2024-12-27")).toMatchObject({ known: true, ever: false });
  });

  it("L20 is just under, and says so", () => {
    expect(on("l20", "2024-06-01").says).toContain("PD 3.14 < 3.2");
  });

  it("4090 D and 5090 D pass by note 2; the same chip for data centres would not", () => {
    expect(says("rtx-4090d", "2024-06-01")).toContain("not for data centres and TPP 4,707 < 4,800");
    expect(says("rtx-5090d", "2025-02-01")).toContain("TPP 4,750 < 4,800");
    expect(
      legality({ chip: { ...factsOf("rtx-4090d"), datacenter: true }, date: "2024-06-01", to: "CN" }),
    ).toMatchObject({ eccn: "3A090.a", verdict: "denial" });
  });

  it("H20 is free by the rules and bound by a letter", () => {
    expect(on("h20", "2025-04-08")).toMatchObject({ licence: "none", verdict: "free", letters: [] });
    expect(on("h20", "2025-04-08").says).toContain("TPP 2,368 < 2,400");
    expect(on("h20", "2025-04-09")).toMatchObject({
      eccn: "none",
      licence: "none",
      verdict: "licence",
      letters: [{ to: "NVIDIA" }],
    });
    expect(
      on("h20", "2025-09-01")
        .notes.map((note) => note.says)
        .join(),
    ).toContain("15 %");
  });

  it("A100 and H100 were bound by a letter six weeks before the rule", () => {
    expect(on("h100", "2022-08-26")).toMatchObject({ eccn: "none", licence: "none", verdict: "licence" });
    expect(on("a100-80", "2022-08-26", "SG").verdict).toBe("free");
    expect(on("mi300x", "2022-09-15").verdict).toBe("free");
  });

  it("January 2026 tells H200 and MI325X from B200, and taxes two bands", () => {
    expect(on("mi325x", "2026-02-01").review!.says).toContain("TPP 20,919 < 21,000 and DRAM 6,000 GB/s < 6,500 GB/s");
    expect(on("b200", "2026-02-01").review!.says).toContain("TPP 36,000 >= 21,000 and DRAM 7,700 GB/s >= 6,500 GB/s");
    expect(on("h200", "2026-01-14").verdict).toBe("denial");
    const taxed = Object.keys(CHIP_FACTS).filter((chip) => on(chip, "2026-02-01").tariff?.rate === 0.25);
    expect(taxed).toEqual(["h200", "mi325x"]);
    expect(on("h200", "2026-01-01").tariff).toBeUndefined();
    expect(
      on("h200", "2026-02-01")
        .notes.map((note) => note.says)
        .join(),
    ).toMatch(/customs/);
  });

  it("diffusion is noted, and decides nothing", () => {
    const answer = on("h100", "2025-02-01", "IN");
    expect(answer.verdict).toBe("free");
    expect(answer.notes.map((note) => note.says).join()).toContain("diffusion");
  });

  it("unpublished letters' lines are shown, and decide nothing", () => {
    expect(on("rtx-5090d", "2025-06-01")).toMatchObject({ verdict: "free", letters: [{ decides: false }] });
    expect(on("rtx-5090d-v2", "2025-09-01").letters).toEqual([]);
  });
});

describe("destination and seat", () => {
  it("looks at the seat of the firm from 2023-11-17", () => {
    expect(on("h100", "2023-10-22", "SG", "CN").verdict).toBe("free");
    expect(on("h100", "2023-11-17", "SG", "CN").verdict).toBe("denial");
    expect(on("h100", "2023-11-17", "SG").verdict).toBe("free");
    expect(on("h200", "2026-06-10", "SG", "CN")).toMatchObject({ verdict: "denial" });
  });

  it("asks licences for the Gulf, of which approval is presumed, and none for allies", () => {
    expect(on("h100", "2024-01-01", "AE")).toMatchObject({ verdict: "licence", review: { policy: "approval" } });
    for (const to of ["JP", "KR", "DE", "IL", "TW", "US"]) expect(on("b200", "2025-06-01", to).verdict).toBe("free");
  });

  it("tells NAC from ACA by destination, and by day", () => {
    expect(on("rtx-4090", "2024-01-01", "VN")).toMatchObject({
      licence: "exception",
      exception: "NAC",
      verdict: "free",
    });
    expect(on("rtx-4090", "2024-06-01", "VN")).toMatchObject({ exception: "ACA", verdict: "free" });
    expect(on("rtx-4090", "2024-06-01", "MO")).toMatchObject({ exception: "NAC", verdict: "notify" });
    expect(on("rtx-4090", "2024-06-01", "VN", "CN")).toMatchObject({ exception: "NAC", verdict: "notify" });
  });

  it("Hong Kong is China, Macau joins in 2023, embargoed countries get nothing", () => {
    expect(on("h100", "2023-01-01", "HK").verdict).toBe("denial");
    expect([on("h100", "2023-01-01", "MO").verdict, on("h100", "2023-02-01", "MO").verdict]).toEqual([
      "free",
      "denial",
    ]);
    expect(on("l20", "2024-06-01", "KP").verdict).toBe("denial");
    expect([on("l20", "2022-01-01", "RU").verdict, on("l20", "2022-03-01", "RU").verdict]).toEqual(["free", "denial"]);
  });

  it("reads countries and days, and names the nearest", () => {
    expect(["cn", "China", "uae", "South Korea", "hong kong"].map((name) => countryOf(name))).toEqual([
      "CN",
      "CN",
      "AE",
      "KR",
      "HK",
    ]);
    expect(() => countryOf("Chnia")).toThrow(/nearest: China/);
    expect(() => countryOf("")).toThrow("expected a country");
    expect(dayOf("2024-02-29")).toBe("2024-02-29");
    for (const [bad, good] of [
      ["2023-02-29", "2023-02-28"],
      ["20231117", "2023-11-17"],
      ["17.11.2023", "2023-11-17"],
      ["2023-11", "2023-11-01"],
    ] as const)
      expect(() => dayOf(bad)).toThrow(`nearest: ${good}`);
  });
});

/** By day and place: verdicts where letters to one maker decide, or just do not. */
const LETTERS: [chip: string, day: string, to: string, headquarters: string, verdict: Verdict][] = [
  // August 2022: China (Hong Kong) and Russia, A100, H100 and what is like them; the seat does not count.
  ["a100-40", "2022-08-25", "CN", "CN", "free"],
  ["a100-40", "2022-08-26", "CN", "CN", "licence"],
  ["h100-pcie", "2022-10-06", "HK", "HK", "licence"],
  ["a100-80", "2022-09-15", "SG", "CN", "free"],
  ["v100", "2022-09-15", "CN", "CN", "free"],
  ["mi300x", "2022-09-15", "CN", "CN", "free"],
  // October 2023: the rule's licences at once, for NVIDIA's chips for data centres of TPP 4,800, to the rule's places and seats.
  ...["a800", "h800", "l40s"].flatMap((chip): typeof LETTERS => [
    [chip, "2023-10-22", "CN", "CN", "free"],
    [chip, "2023-10-23", "CN", "CN", "licence"],
    [chip, "2023-11-16", "MO", "MO", "licence"],
    [chip, "2023-11-16", "VN", "VN", "licence"],
    [chip, "2023-11-16", "SG", "CN", "licence"],
    [chip, "2023-11-16", "DE", "HK", "licence"],
    [chip, "2023-11-16", "SG", "SG", "free"],
    [chip, "2023-11-16", "IL", "IL", "free"],
    [chip, "2023-11-17", "CN", "CN", "denial"],
    [chip, "2023-11-17", "SG", "CN", "denial"],
  ]),
  ["a100-80", "2023-10-23", "AE", "AE", "licence"],
  ["a100-80", "2023-10-23", "CN", "CN", "denial"],
  ["h100", "2023-10-22", "AE", "AE", "free"],
  // Not for data centres, below 4,800, or another maker's: free until the rule itself.
  ["rtx-4090", "2023-11-16", "CN", "CN", "free"],
  ["l20", "2023-11-16", "CN", "CN", "free"],
  ["mi300x", "2023-11-16", "SA", "SA", "free"],
  // April 2025: China, Macau, D:5, and firms seated there wherever they are.
  ["h20", "2025-04-08", "SG", "CN", "free"],
  ["h20", "2025-04-09", "SG", "CN", "licence"],
  ["h20", "2025-06-01", "JP", "HK", "licence"],
  ["h20", "2025-06-01", "VN", "MO", "licence"],
  ["h20", "2025-06-01", "MO", "SG", "licence"],
  ["h20", "2025-06-01", "VE", "VE", "licence"],
  ["h20", "2025-06-01", "SG", "SG", "free"],
  ["h20", "2025-06-01", "AE", "AE", "free"],
  ["h20", "2025-06-01", "US", "CN", "free"],
  ["mi308x", "2025-04-14", "SG", "CN", "free"],
  ["mi308x", "2025-04-15", "SG", "CN", "licence"],
  ["mi308x", "2025-06-01", "CN", "CN", "licence"],
  ["mi308x", "2025-06-01", "MY", "MY", "free"],
  ["l20", "2025-06-01", "SG", "CN", "free"],
];

describe("letters to one maker", () => {
  it.each(LETTERS)("%s on %s to %s for a firm of %s: %s", (chip, day, to, headquarters, verdict) => {
    const answer = on(chip, day, to, headquarters);
    expect(answer.verdict).toBe(verdict);
    if (answer.licence !== "none" || verdict !== "licence") return;
    const [letter] = answer.letters.filter(({ decides }) => decides);
    expect(letter?.to).toBe(factsOf(chip).vendor);
    expect(answer.says).toContain(`a letter to ${letter?.to} of ${letter?.from}, which binds its exports`);
    expect(answer.sources).toContain(letter?.source);
  });

  it("what is told of July 2023 is shown for the Middle East, and decides nothing", () => {
    expect(on("h100", "2023-08-15", "SA")).toMatchObject({
      verdict: "free",
      letters: [{ to: "NVIDIA", decides: false }],
    });
    expect(on("h100", "2023-08-15", "VN").letters).toEqual([]);
    expect(on("l40s", "2023-08-15", "SA").letters).toEqual([]);
  });
});

describe("what could be had", () => {
  it("the first rule's lines on chips bind from 2022-10-21; until then the letter of August does", () => {
    expect(on("h100", "2022-10-20").rule.id).toBe("before");
    expect(on("h100", "2022-10-20").verdict).toBe("licence");
    expect(on("h100", "2022-10-20").letters.map(({ from }) => from)).toEqual(["2022-08-26"]);
    expect(on("h100", "2022-10-21")).toMatchObject({ verdict: "denial", rule: { id: "2022" }, letters: [] });
    expect(on("mi300x", "2022-10-20").verdict).toBe("free");
    const notes = (date: string) => on("h100", date).notes.map(({ says }) => says);
    expect(notes("2022-10-10")).toEqual(expect.arrayContaining([expect.stringMatching(/600 GB\/s.*2022-10-21/)]));
  });

  it("the affiliates rule: in force, suspended, and after its suspension what is known", () => {
    const note = (date: string) =>
      on("h100", date)
        .notes.map(({ says }) => says)
        .find((says) => says.includes("affiliates rule"));
    expect(note("2025-09-28")).toBeUndefined();
    expect(note("2025-10-15")).toMatch(/is in force/);
    expect(note("2025-11-10")).toMatch(/suspended to 2026-11-09, absent a future extension/);
    expect(note("2026-11-09")).toMatch(/suspended/);
    expect(note("2026-11-10")).toMatch(/ended on 2026-11-09 by its own words.*no extension was read/);
  });

  it("Chinese customs: RTX PRO 6000D since 2025-09-17, it and H20 at the ports since October", () => {
    const told = (chip: string, date: string) =>
      on(chip, date)
        .notes.map(({ source }) => source.title)
        .filter((title) => title.includes("Chinese customs")).length;
    expect([told("rtx-pro-6000d", "2025-09-16"), told("rtx-pro-6000d", "2025-09-17")]).toEqual([0, 1]);
    expect([told("h20", "2025-10-08"), told("h20", "2025-10-09"), told("h100", "2025-10-09")]).toEqual([0, 1, 0]);
  });

  it("lists chips that were out and lawful that day", () => {
    const ids = (date: string, to: string, headquarters?: string) =>
      legalOn(date, to, headquarters).map(({ id }) => id);
    expect(ids("2023-06-01", "CN")).toEqual([
      "v100",
      "a800",
      "h800",
      "l40",
      "rtx-4090",
      "ascend-910b",
      "mlu370-x8",
      "mlu590",
    ]);
    expect(ids("2023-10-22", "CN")).toEqual(expect.arrayContaining(["a800", "h800", "l40s"]));
    for (const chip of ["a800", "h800", "l40s"]) expect(ids("2023-10-23", "CN")).not.toContain(chip);
    expect(ids("2025-06-01", "SG")).toContain("h20");
    expect(ids("2025-06-01", "SG", "CN")).not.toContain("h20");
    expect(ids("2024-12-01", "CN")).toEqual(
      ["v100", "h20", "l40", "l20", "rtx-4090", "rtx-4090d", "ascend-910b", "mi308x", "mlu370-x8", "mlu590"].sort(
        byTable,
      ),
    );
    expect(ids("2024-12-01", "JP")).toContain("h100");
    expect(ids("2024-12-01", "JP", "CN")).not.toContain("h100");
  });

  it("puts a chip's verdicts in a row without gaps", () => {
    for (const chip of Object.values(CHIP_FACTS)) {
      const row = spans(chip, "CN");
      row.forEach(({ from, until, legality: answer }, i) => {
        expect(until).toBe(row[i + 1]?.from);
        expect(legality({ chip, date: from, to: "CN" }).verdict).toBe(answer.verdict);
      });
    }
    expect(spans(factsOf("h20"), "CN").map(({ from, legality: { verdict } }) => [from, verdict])).toEqual([
      ["2024-01-01", "free"],
      ["2025-04-09", "licence"],
    ]);
  });
});

const byTable = (a: string, b: string) => Object.keys(CHIP_FACTS).indexOf(a) - Object.keys(CHIP_FACTS).indexOf(b);

describe("properties", () => {
  it("a span's verdict is that of each of its days, whatever the place and the seat", () => {
    const day = fc
      .integer({ min: Date.parse("2020-01-01"), max: Date.parse("2026-12-31") })
      .map((t) => new Date(t).toISOString().slice(0, 10));
    const place = fc.constantFrom("CN", "MO", "HK", "VN", "AE", "JP", "SG", "US", "RU", "KP");
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(CHIP_FACTS)), day, place, place, (chip, date, to, headquarters) => {
        const span = spans(chip, to, headquarters).findLast(({ from }) => from <= date);
        fc.pre(span !== undefined);
        expect(legality({ chip, date, to, headquarters }).verdict).toBe(span.legality.verdict);
      }),
      { numRuns: 150 },
    );
  });

  const STRICT: Record<Verdict, number> = {
    free: 0,
    notify: 1,
    licence: 2,
    "case-by-case": 3,
    denial: 4,
    unknown: NaN,
  };
  const own = fc.record({
    vendor: fc.constantFrom("someone", "NVIDIA", "AMD"),
    tflops: fc.integer({ min: 20, max: 3000 }),
    area: fc.integer({ min: 80, max: 2000 }),
    datacenter: fc.boolean(),
    link: fc.integer({ min: 40, max: 1900 }),
  });
  const chip = ({
    vendor,
    tflops,
    area,
    datacenter,
    link,
  }: {
    vendor: string;
    tflops: number;
    area: number;
    datacenter: boolean;
    link: number;
  }): ChipFacts => ({
    id: "own",
    name: "own",
    vendor,
    origin: "US",
    released: "2020",
    datacenter,
    bf16FlopsPerSec: tflops * 1e12,
    eightBitOpsPerSec: tflops * 2e12,
    hbmBytesPerSec: 3e12,
    linkBytesPerSec: link * 1e9,
    linkedChips: 8,
    logicDieMm2: area,
    sources: [],
  });
  const date = fc.constantFrom(
    ...VERSIONS.map(({ from }) => (from < "2020" ? "2021-01-01" : from)),
    "2022-09-15",
    "2023-11-01",
    "2024-12-01",
    "2025-06-01",
  );
  const to = fc.constantFrom("CN", "MO", "VN", "AE", "JP", "SG", "IN", "BR");

  it("more performance never makes a chip freer under one rule", () => {
    fc.assert(
      fc.property(own, fc.integer({ min: 1, max: 3000 }), date, to, to, (spec, more, day, destination, seat) => {
        const ask = (tflops: number) =>
          STRICT[legality({ chip: chip({ ...spec, tflops }), date: day, to: destination, headquarters: seat }).verdict];
        expect(ask(spec.tflops + more)).toBeGreaterThanOrEqual(ask(spec.tflops));
      }),
      { numRuns: 400 },
    );
  });

  it("more I/O never makes a chip freer, a larger die never less free from 2023", () => {
    fc.assert(
      fc.property(own, fc.integer({ min: 1, max: 1000 }), to, (spec, more, destination) => {
        const ask = (changed: Partial<typeof spec>, day: string) =>
          STRICT[legality({ chip: chip({ ...spec, ...changed }), date: day, to: destination }).verdict];
        expect(ask({ link: spec.link + more }, "2023-01-20")).toBeGreaterThanOrEqual(ask({}, "2023-01-20"));
        expect(ask({ area: spec.area + more }, "2024-12-01")).toBeLessThanOrEqual(ask({}, "2024-12-01"));
      }),
      { numRuns: 400 },
    );
  });

  it("a Chinese seat never makes a chip freer", () => {
    fc.assert(
      fc.property(own, date, to, (spec, day, destination) => {
        const ask = (headquarters: string) =>
          STRICT[legality({ chip: chip(spec), date: day, to: destination, headquarters }).verdict];
        fc.pre(destination !== "CN" && destination !== "MO");
        expect(ask("CN")).toBeGreaterThanOrEqual(ask(destination));
      }),
      { numRuns: 300 },
    );
  });

  it("without a die area the answer is unknown exactly where density would decide", () => {
    fc.assert(
      fc.property(own, fc.constantFrom("2023-11-17", "2025-01-01", "2026-02-01"), (spec, day) => {
        const { logicDieMm2: _, ...facts } = chip({ ...spec, datacenter: true });
        const { eccn } = legality({ chip: facts, date: day, to: "CN" });
        const tpp = spec.tflops * 16;
        expect(eccn).toBe(tpp >= 4800 ? "3A090.a" : tpp >= 1600 ? "unknown" : "none");
      }),
    );
  });

  it("every answer cites its rule, and every decided one says why", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(CHIP_FACTS)), date, to, (facts, day, destination) => {
        const answer = legality({ chip: facts, date: day, to: destination });
        expect(answer.sources).toContain(versionOn(day).source);
        expect(answer.says.length).toBeGreaterThan(10);
        expect(answer.licence === "required" || answer.verdict !== "denial").toBe(true);
      }),
    );
  });

  it("takes a chip of one's own", () => {
    const mine = parseChip({
      id: "mine",
      bf16FlopsPerSec: 150e12,
      hbmBytes: 64e9,
      hbmBytesPerSec: 2e12,
      linkBytesPerSec: 400e9,
      watts: 300,
      logicDieMm2: 600,
    });
    expect(legality({ chip: mine, date: "2024-06-01", to: "CN" })).toMatchObject({
      eccn: "3A090.b",
      exception: "NAC",
      verdict: "notify",
    });
  });
});
