/** The table of chips: lookup by name, and a user's own chip from JSON. */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { GEFORCE, NVIDIA, NVIDIA_FACTS } from "./chips/nvidia.ts";
import { AMD, CHINESE, GOOGLE, OTHER_US, UNPLANNABLE } from "./chips/others.ts";
import { physicsFaults } from "./chips/physics.ts";
import { nearest } from "./nearest.ts";
import type { Chip, ChipFacts } from "./types.ts";

export { performanceDensity, totalProcessingPerformance } from "./chips/physics.ts";

/** Chips that can be planned with, by id. Checked against physics when the module loads. */
export const CHIPS: Readonly<Record<string, Chip>> = table([
  ...NVIDIA,
  ...GEFORCE,
  ...AMD,
  ...CHINESE,
  ...GOOGLE,
  ...OTHER_US,
]);

/** All chips the export rules are asked about: CHIPS and those whose rates are unpublished. */
export const CHIP_FACTS: Readonly<Record<string, ChipFacts>> = {
  ...CHIPS,
  ...table([...NVIDIA_FACTS, ...UNPLANNABLE]),
};

/** Other names people use, without spaces and dashes. */
const ALIASES: Record<string, string> = {
  a100: "a100-80",
  a100sxm: "a100-80",
  a10080gb: "a100-80",
  a10040gb: "a100-40",
  h100sxm: "h100",
  h800sxm: "h800",
  h200sxm: "h200",
  a800sxm: "a800",
  gb200nvl72: "gb200",
  "4090": "rtx-4090",
  "4090d": "rtx-4090d",
  "5090": "rtx-5090",
  "5090d": "rtx-5090d",
  "5090dv2": "rtx-5090d-v2",
  "910b": "ascend-910b",
  "910c": "ascend-910c",
  "950pr": "ascend-950pr",
  "950dt": "ascend-950dt",
  atlas350: "ascend-950pr",
  mlu370: "mlu370-x8",
  v5p: "tpu-v5p",
  mi308: "mi308x",
  v100sxm: "v100",
  gb300nvl72: "gb300",
  gh200nvl32: "gh200",
  "910d": "ascend-910d",
  v6e: "tpu-v6e",
  trillium: "tpu-v6e",
  tpuv7: "tpu-v7",
  ironwood: "tpu-v7",
  trn2: "trainium2",
  gaudi3: "gaudi-3",
  rtx6000d: "rtx-pro-6000d",
  b40: "rtx-pro-6000d",
};

const bare = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");

/** A chip's facts by id or common name, also of chips that cannot be planned with. Throws ConfigError naming the nearest. */
export function factsOf(name: string): ChipFacts {
  const wanted = bare(name);
  const id =
    Object.keys(CHIP_FACTS).find((known) => bare(known) === wanted) ??
    (Object.hasOwn(ALIASES, wanted) ? ALIASES[wanted]! : undefined);
  if (id !== undefined) return CHIP_FACTS[id]!;
  throw new ConfigError(
    `chips: expected a known chip, got ${JSON.stringify(name)}; nearest: ${nearestChips(name, Object.keys(CHIP_FACTS)).join(", ")}`,
  );
}

/** A chip to plan with, by id or common name ("h800", "RTX 4090", "910b"). Throws ConfigError naming the nearest that can be had. */
export function chipOf(name: string): Chip {
  const facts = factsOf(name);
  const chip = CHIPS[facts.id];
  if (chip) return chip;
  const others = nearestChips(facts.id, Object.keys(CHIPS)).join(", ");
  throw new ConfigError(
    `chips: ${facts.name} cannot be planned with, its ${missing(facts).join(", ")} being unpublished; nearest that can: ${others}`,
  );
}

const NEEDED = ["bf16FlopsPerSec", "hbmBytes", "hbmBytesPerSec", "linkBytesPerSec"] as const;
const missing = (facts: ChipFacts): string[] => NEEDED.filter((field) => facts[field] === undefined);

function nearestChips(name: string, ids: string[]): string[] {
  const wanted = bare(name);
  return nearest(wanted, [...ids, ...Object.keys(ALIASES)], bare)
    .map((id) => ALIASES[id] ?? id)
    .filter((id, i, all) => ids.includes(id) && all.indexOf(id) === i)
    .slice(0, 3);
}

function table<C extends ChipFacts>(chips: C[]): Record<string, C> {
  const faults = chips.flatMap((chip) => physicsFaults(chip).map((fault) => `${chip.id}: ${fault}`));
  if (faults.length > 0) throw new ConfigError(`chips: the table contradicts physics:\n  ${faults.join("\n  ")}`);
  const byId = Object.fromEntries(chips.map((chip) => [chip.id, Object.freeze(chip)]));
  if (Object.keys(byId).length !== chips.length) throw new ConfigError("chips: two chips share an id");
  return Object.freeze(byId);
}

const positive = z.number().positive();
const source = z.strictObject({
  title: z.string().min(1),
  date: z.string().regex(/^\d{4}(-\d\d){0,2}$/, "expected YYYY, YYYY-MM or YYYY-MM-DD"),
  mark: z.enum(["primary", "secondary", "derived", "unconfirmed"]),
  url: z.url().optional(),
});
const schema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, "expected lower case letters, digits, dots and dashes"),
  name: z.string().min(1).optional(),
  vendor: z.string().default("unknown"),
  origin: z
    .string()
    .regex(/^[A-Z]{2}$/, "expected a country's two letters")
    .default("US"),
  released: z
    .string()
    .regex(/^\d{4}(-\d\d){0,2}$/, "expected YYYY, YYYY-MM or YYYY-MM-DD")
    .default("2026"),
  bf16FlopsPerSec: positive,
  eightBitOpsPerSec: positive.optional(),
  fp8: z.boolean().default(false),
  fp4FlopsPerSec: positive.optional(),
  hbmBytes: positive,
  hbmBytesPerSec: positive,
  linkBytesPerSec: positive,
  linkedChips: z.int().positive().default(8),
  watts: positive,
  logicDieMm2: positive.optional(),
  processNode: z.string().default("unknown"),
  datacenter: z.boolean().default(true),
  tpp: positive.optional(),
  hostBytesPerSec: positive.optional(),
  sources: z.array(source).default([]),
  notes: z.string().optional(),
});

/**
 * A user's own chip, from JSON with Chip's field names. Must give id, bf16FlopsPerSec, hbmBytes, hbmBytesPerSec, linkBytesPerSec and watts; 8-bit
 * operations default to BF16's rate. Throws ConfigError that lists all faults, those of physics too.
 */
export function parseChip(json: unknown, where = "chip"): Chip {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `  ${path.join(".") || "(top)"}: ${message}`);
    throw new ConfigError(`${where}: not a chip:\n${faults.join("\n")}`);
  }
  const { data } = parsed;
  const chip: Chip = {
    ...data,
    name: data.name ?? data.id,
    eightBitOpsPerSec: data.eightBitOpsPerSec ?? data.bf16FlopsPerSec,
    sources:
      data.sources.length > 0
        ? data.sources
        : [{ title: `${where}, as its author gives it`, date: "2026", mark: "unconfirmed" }],
  };
  const faults = physicsFaults(chip);
  if (faults.length > 0)
    throw new ConfigError(
      `${where}: ${chip.id} contradicts physics:\n${faults.map((fault) => `  ${fault}`).join("\n")}`,
    );
  return chip;
}
