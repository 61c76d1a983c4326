/** The tests of ECCN 3A090: measures of a chip against a version's lines. */
import { performanceDensity, totalProcessingPerformance } from "../chips/physics.ts";
import type { ChipFacts, Source } from "../types.ts";
import type { RuleVersion } from "./versions.ts";

export type Held = boolean | "unknown";

/** One condition of a rule with the chip's numbers in it: "TPP 15,832 >= 4,800". */
export interface RuleTest {
  rule: string;
  says: string;
  holds: Held;
  /** Its conditions that do not hold, or cannot be told. */
  missed: string[];
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

/** A comparison as text, and whether it holds. */
export interface Condition {
  says: string;
  holds: Held;
}

/** `TPP 2,368 < 4,800`, which does not hold. */
export function atLeast(name: string, value: number | undefined, line: number, unit = ""): Condition {
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
/** The opposite condition; the text states the comparison either way. */
const below = ({ says, holds }: Condition): Condition => ({ says, holds: holds === "unknown" ? holds : !holds });

/** The paragraph a chip falls under, with every test that was made. */
export function paragraphOf(chip: ChipFacts, version: RuleVersion): { eccn: Eccn; tests: RuleTest[] } {
  const { id, source } = version;
  const m = measure(chip);
  const tests: RuleTest[] = [];
  const doubt = chip.doubts ?? {};
  const test = (rule: string, ...parts: Condition[]) => {
    const text = parts.map(({ says }) => says).join(" and ");
    const shaky = [
      /TPP/.test(text) && (doubt.tpp ?? (chip.tpp === undefined ? doubt.bf16FlopsPerSec : undefined)),
      /PD/.test(text) && doubt.logicDieMm2 && `die area: ${doubt.logicDieMm2}`,
    ]
      .filter(Boolean)
      .join("; ");
    const holds = all(...parts.map((part) => part.holds));
    const missed = parts.filter((part) => part.holds !== true).map(({ says }) => says);
    tests.push({ rule, says: shaky ? `${text} (${shaky})` : text, holds, missed, source });
    return holds;
  };
  if (id === "before") return { eccn: "none", tests };
  if (id === "2022") {
    const caught = test("3A090 (2022)", atLeast("I/O", m.ioGBps, 600, " GB/s"), atLeast("bits × TOPS", m.tpp, 4800));
    return { eccn: caught === true ? "3A090" : caught === false ? "none" : "unknown", tests };
  }
  const tpp = (line: number) => atLeast("TPP", m.tpp, line);
  const density = (line: number) => atLeast("PD", m.density, line);
  if (
    !chip.datacenter &&
    test("note 2 to 3A090", { says: "not for data centres", holds: true }, below(tpp(4800))) === true
  )
    return { eccn: "none", tests };
  const a = any(test("3A090.a.1", tpp(4800)), test("3A090.a.2", tpp(1600), density(5.92)));
  if (a === true) return { eccn: "3A090.a", tests };
  const b = any(
    test("3A090.b.1", tpp(2400), below(tpp(4800)), density(1.6), below(density(5.92))),
    test("3A090.b.2", tpp(1600), density(3.2), below(density(5.92))),
  );
  if (a === "unknown") return { eccn: "unknown", tests };
  return { eccn: b === true ? "3A090.b" : b === false ? "none" : "unknown", tests };
}
