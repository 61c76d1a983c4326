import { performanceDensity, totalProcessingPerformance } from "../chips/physics.ts";
import type { ChipFacts, Source } from "../types.ts";
import type { RuleVersion } from "./versions.ts";

export type Held = boolean | "unknown";

/** One condition of a rule with the chip's numbers in it: "TPP 15,832 >= 4,800". */
export interface RuleTest {
  rule: string;
  says: string;
  holds: Held;
  source: Source;
}

export type Eccn = "3A090.a" | "3A090.b" | "3A090" | "none" | "unknown";

/** What the rules measure on a chip; undefined is unknown. */
export interface Measures {
  tpp?: number;
  density?: number;
  /** All inputs and outputs but memory, both directions, GB/s. */
  ioGBps?: number;
  dramGBps?: number;
}

export function measure(chip: ChipFacts): Measures {
  const { linkBytesPerSec: link, hostBytesPerSec: host = 0, linkedChips } = chip;
  return {
    tpp: totalProcessingPerformance(chip),
    density: performanceDensity(chip),
    ioGBps: link === undefined ? undefined : (link + (linkedChips === 1 ? 0 : host)) / 1e9,
    dramGBps: chip.hbmBytesPerSec === undefined ? undefined : chip.hbmBytesPerSec / 1e9,
  };
}

const number = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 2 : 0 });

/** `TPP 2,368 >= 4,800`, and whether it holds. */
export function atLeast(name: string, value: number | undefined, line: number, unit = ""): { says: string; holds: Held } {
  if (value === undefined) return { says: `${name} unknown, line ${number(line)}${unit}`, holds: "unknown" };
  const holds = value >= line;
  return { says: `${name} ${number(value)}${unit} ${holds ? ">=" : "<"} ${number(line)}${unit}`, holds };
}

export function all(...parts: Held[]): Held {
  return parts.includes(false) ? false : parts.includes("unknown") ? "unknown" : true;
}
export function any(...parts: Held[]): Held {
  return parts.includes(true) ? true : parts.includes("unknown") ? "unknown" : false;
}
const not = (held: Held): Held => (held === "unknown" ? held : !held);

/** The paragraph a chip falls under, with every test that was made. */
export function paragraphOf(chip: ChipFacts, version: RuleVersion): { eccn: Eccn; tests: RuleTest[] } {
  const { id, source } = version;
  const m = measure(chip);
  const tests: RuleTest[] = [];
  const doubt = chip.doubts ?? {};
  const test = (rule: string, says: string, holds: Held) => {
    const shaky = [/TPP/.test(says) && (doubt.tpp ?? (chip.tpp === undefined ? doubt.bf16FlopsPerSec : undefined)), /PD/.test(says) && doubt.logicDieMm2 && `die area: ${doubt.logicDieMm2}`]
      .filter(Boolean).join("; ");
    tests.push({ rule, says: shaky ? `${says} (${shaky})` : says, holds, source });
    return holds;
  };
  if (id === "before") return { eccn: "none", tests };
  if (id === "2022") {
    const io = atLeast("I/O", m.ioGBps, 600, " GB/s");
    const tpp = atLeast("bits × TOPS", m.tpp, 4800);
    const caught = test("3A090 (2022)", `${io.says} and ${tpp.says}`, all(io.holds, tpp.holds));
    return { eccn: caught === true ? "3A090" : caught === false ? "none" : "unknown", tests };
  }
  const tpp = (line: number) => atLeast("TPP", m.tpp, line);
  const density = (line: number) => atLeast("PD", m.density, line);
  const [t48, t24, t16, d592, d32, d16] = [tpp(4800), tpp(2400), tpp(1600), density(5.92), density(3.2), density(1.6)];
  if (!chip.datacenter && test("note 2 to 3A090", `not for data centres and ${t48.says}`, not(t48.holds)) === true) return { eccn: "none", tests };
  const a = any(
    test("3A090.a.1", t48.says, t48.holds),
    test("3A090.a.2", `${t16.says} and ${d592.says}`, all(t16.holds, d592.holds)),
  );
  if (a === true) return { eccn: "3A090.a", tests };
  const b = any(
    test("3A090.b.1", `${t24.says}, ${t48.says} and ${d16.says}, ${d592.says}`, all(t24.holds, not(t48.holds), d16.holds, not(d592.holds))),
    test("3A090.b.2", `${t16.says} and ${d32.says}, ${d592.says}`, all(t16.holds, d32.holds, not(d592.holds))),
  );
  if (a === "unknown") return { eccn: "unknown", tests };
  return { eccn: b === true ? "3A090.b" : b === false ? "none" : "unknown", tests };
}
