/** `sumbi chips`: the table of accelerators, and under which export rules each may go where. */
import type { Command } from "commander";
import pc from "picocolors";
import { ConfigError, UsageError } from "../errors.ts";
import {
  CHIP_FACTS,
  CHIPS,
  type ChipFacts,
  factsOf,
  performanceDensity,
  purchasePrice,
  rentalRate,
  type Source,
  totalProcessingPerformance,
} from "../plan/index.ts";
import { countryName, countryOf, dayBefore, dayOf, legality, spans } from "../plan/rules/index.ts";
import { VERDICT_COLOUR } from "./lawPlace.ts";

/** `sumbi chips [NAME]`: what chips can do, and whether export rules let one have them on a day. */
export function register(program: Command): void {
  program
    .command("chips")
    .description("chips, and what export rules say of them on a day")
    .argument("[name]", "one chip, with its tests, its history and its sources")
    .option("--date <day>", "YYYY-MM-DD; default today")
    .option("--to <country>", "destination, by its two letters or its name", "CN")
    .option("--headquarters <country>", "seat of the firm; default the destination")
    .option("--json", "print JSON")
    .action((name: string | undefined, options: ChipsOptions & { json?: boolean }) => {
      const asked = ask(options);
      if (name === undefined) {
        const rows = listChips(asked);
        process.stdout.write(options.json ? `${JSON.stringify(rows, null, 2)}\n` : drawTable(rows, asked));
        return;
      }
      const detail = chipDetail(name, asked);
      process.stdout.write(options.json ? `${JSON.stringify(detail, null, 2)}\n` : drawDetail(detail));
    });
}

export interface ChipsOptions {
  date?: string;
  to: string;
  headquarters?: string;
}
interface Asked {
  date: string;
  to: string;
  headquarters: string;
}

function ask({ date, to: destination, headquarters }: ChipsOptions): Asked {
  const to = countryOf(destination, "chips: --to");
  return {
    date: dayOf(date ?? new Date().toISOString().slice(0, 10), "chips: --date"),
    to,
    headquarters: headquarters === undefined ? to : countryOf(headquarters, "chips: --headquarters"),
  };
}

/** Every chip with what the rules measure, its verdict, and the verdict's reason. */
function listChips(asked: Asked) {
  return Object.values(CHIP_FACTS).map((facts) => {
    const answer = legality({ chip: facts, ...asked });
    return {
      ...figures(facts),
      released: facts.released <= asked.date,
      eccn: answer.eccn,
      verdict: answer.verdict,
      tariff: answer.tariff?.rate,
      says: answer.says,
    };
  });
}

export type ChipRow = ReturnType<typeof listChips>[number];

const figures = (facts: ChipFacts) => ({
  id: facts.id,
  name: facts.name,
  bf16FlopsPerSec: facts.bf16FlopsPerSec,
  eightBitOpsPerSec: facts.eightBitOpsPerSec,
  fp8: facts.fp8,
  hbmBytes: facts.hbmBytes,
  hbmBytesPerSec: facts.hbmBytesPerSec,
  linkBytesPerSec: facts.linkBytesPerSec,
  watts: facts.watts,
  tpp: totalProcessingPerformance(facts),
  performanceDensity: performanceDensity(facts),
  doubts: facts.doubts,
});

/** One chip in full. Throws UsageError naming the nearest chip. */
function chipDetail(name: string, asked: Asked) {
  let facts: ChipFacts;
  try {
    facts = factsOf(name);
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
  const chip = CHIPS[facts.id];
  const history = spans(facts, asked.to, asked.headquarters).map(({ from, until, legality: { verdict, says } }) => ({
    from,
    until,
    verdict,
    says,
  }));
  return {
    chip: facts,
    tpp: totalProcessingPerformance(facts),
    performanceDensity: performanceDensity(facts),
    rent: chip && rentalRate(chip),
    purchase: chip && purchasePrice(chip),
    legality: legality({ chip: facts, ...asked }),
    history,
  };
}

export type ChipDetail = ReturnType<typeof chipDetail>;

const scaled = (value: number | undefined, unit: number, digits = 0): string =>
  value === undefined
    ? "?"
    : (value / unit).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function drawTable(rows: ChipRow[], asked: Asked): string {
  const head = ["chip", "BF16", "8-bit", "GB", "TB/s", "link", "watts", "TPP", "PD", "3A090", "verdict"];
  const cells = rows.map((row) => {
    const doubt = (field: string, text: string) => (text !== "?" && row.doubts?.[field] ? `${text}~` : text);
    return [
      row.id,
      doubt("bf16FlopsPerSec", scaled(row.bf16FlopsPerSec, 1e12)),
      doubt("eightBitOpsPerSec", `${scaled(row.eightBitOpsPerSec, 1e12)}${row.fp8 === false ? "i" : ""}`),
      doubt("hbmBytes", scaled(row.hbmBytes, 1e9)),
      doubt("hbmBytesPerSec", scaled(row.hbmBytesPerSec, 1e12, 2)),
      doubt("linkBytesPerSec", scaled(row.linkBytesPerSec, 1e9)),
      doubt("watts", scaled(row.watts, 1)),
      doubt("tpp", scaled(row.tpp, 1)),
      doubt("logicDieMm2", scaled(row.performanceDensity, 1, 2)),
      row.eccn === "none" ? "-" : row.eccn.replace("3A090.", ".").replace("unknown", "?"),
      `${row.verdict}${row.tariff ? ` +${row.tariff * 100} %` : ""}${row.released ? "" : " (not out yet)"}`,
    ];
  });
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const line = (row: string[]) =>
    row
      .map((cell, i) => (i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd();
  const seat = asked.headquarters === asked.to ? "" : `, for a firm seated in ${countryName(asked.headquarters)}`;
  const lines = [pc.bold(`Chips on ${asked.date}, to ${countryName(asked.to)}${seat}`), "", pc.bold(line(head))];
  for (const [i, row] of cells.entries()) {
    const { verdict } = rows[i]!;
    const text = line(row);
    const at = text.lastIndexOf(row.at(-1)!);
    lines.push(text.slice(0, at) + VERDICT_COLOUR[verdict](text.slice(at)));
  }
  lines.push(
    "",
    "BF16 and 8-bit in dense TFLOP/s (i: INT8 only), link in GB/s over both directions. ~ in doubt, ? unpublished.",
    "sumbi chips NAME shows the tests, the history and the sources. No legal advice.",
  );
  return `${lines.join("\n")}\n`;
}

function drawDetail({
  chip,
  tpp,
  performanceDensity: density,
  rent,
  purchase,
  legality: law,
  history,
}: ChipDetail): string {
  const lines: string[] = [pc.bold(`${chip.name} (${chip.id}), ${chip.vendor}, ${chip.released}`)];
  const row = (label: string, value: string, field?: string) =>
    lines.push(
      `  ${label.padEnd(16)}${value}${field !== undefined && chip.doubts?.[field] ? pc.dim(` (${chip.doubts[field]})`) : ""}`,
    );
  const wrapped = (label: string, text: string) => {
    for (const [i, part] of wrap(text, 100).entries()) lines.push(`  ${(i === 0 ? label : "").padEnd(16)}${part}`);
  };
  row("BF16", `${scaled(chip.bf16FlopsPerSec, 1e12, 1)} TFLOP/s`, "bf16FlopsPerSec");
  row(chip.fp8 === false ? "INT8" : "FP8", `${scaled(chip.eightBitOpsPerSec, 1e12, 1)} T/s`, "eightBitOpsPerSec");
  if (chip.fp4FlopsPerSec !== undefined) row("FP4", `${scaled(chip.fp4FlopsPerSec, 1e12)} TFLOP/s`, "fp4FlopsPerSec");
  row("memory", `${scaled(chip.hbmBytes, 1e9)} GB at ${scaled(chip.hbmBytesPerSec, 1e12, 2)} TB/s`, "hbmBytesPerSec");
  row(
    "links",
    `${scaled(chip.linkBytesPerSec, 1e9)} GB/s both ways, ${chip.linkedChips === 1 ? "PCIe" : `among ${chip.linkedChips ?? "?"} chips`}`,
    "linkBytesPerSec",
  );
  row("power", `${scaled(chip.watts, 1)} W`, "watts");
  row("logic dies", `${scaled(chip.logicDieMm2, 1)} mm², ${chip.processNode ?? "?"}`, "logicDieMm2");
  row(
    "TPP, PD",
    `${scaled(tpp, 1)}, ${scaled(density, 1, 2)}${chip.datacenter ? "" : ", not for data centres"}`,
    "tpp",
  );
  if (rent)
    row(
      "rent",
      `$${rent.usdPerGpuHour.toFixed(2)}/h ($${rent.low.toFixed(2)} to $${rent.high.toFixed(2)}; ${rent.says})`,
    );
  if (purchase) row("purchase", `$${scaled(purchase.low, 1)} to $${scaled(purchase.high, 1)}`);
  if (chip.notes) wrapped("note", chip.notes);

  const seat = law.headquarters === law.to ? "" : `, for a firm seated in ${countryName(law.headquarters)}`;
  lines.push(
    "",
    pc.bold(`On ${law.date}, to ${countryName(law.to)}${seat}: `) + VERDICT_COLOUR[law.verdict](law.verdict),
  );
  wrapped("because", law.says);
  row("rule", `${law.rule.title} (${law.rule.citation}, from ${law.rule.from})`);
  row("paragraph", law.eccn);
  const byLetter = law.letters.some(({ decides }) => decides);
  row(
    "licence",
    `${law.licence === "exception" ? `exception ${law.exception}` : law.licence}${byLetter ? " by the published rules; asked for by letter" : ""}`,
  );
  if (law.review) wrapped(law.licence === "exception" ? "if asked" : "review", law.review.says);
  row("tariff", law.tariff ? law.tariff.says : "none found");
  for (const letter of law.letters)
    wrapped(
      "letter",
      `to ${letter.to}, ${letter.until === undefined ? `since ${letter.from}` : `${letter.from} to ${dayBefore(letter.until)}`}, binds its exports: ${letter.says}${letter.decides ? "" : " (shown, decides nothing)"}`,
    );
  if (law.letters.length === 0) row("letters", "none known");
  for (const { rule, says, holds } of law.tests)
    row("test", `${({ true: "yes", false: "no ", unknown: "?  " } as const)[`${holds}`]} ${rule}: ${says}`);
  for (const { says, source } of law.notes) wrapped("note", `${says} [${source.title}]`);

  lines.push("", pc.bold(`History, to ${countryName(law.to)}${seat}`));
  for (const { from, until, verdict } of history)
    lines.push(
      `  ${from} ${until === undefined ? "on        " : `to ${dayBefore(until)}`}  ${VERDICT_COLOUR[verdict](verdict)}`,
    );

  lines.push("", pc.bold("Sources"));
  const cite = ({ mark, title, date, url }: Source) => `  ${mark.padEnd(13)}${title} (${date})${url ? ` ${url}` : ""}`;
  for (const source of law.sources) lines.push(cite(source));
  for (const source of rent?.sources ?? []) lines.push(cite(source));
  return `${lines.join("\n")}\n`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
