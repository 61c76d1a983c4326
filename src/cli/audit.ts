/** `sumbi audit`: a published claim held against the planner, with its verdict and what it rests on. */
import { existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import pc from "picocolors";
import { ConfigError } from "../errors.ts";
import { type ModelConfig, parseConfig } from "../model/index.ts";
import {
  type AuditReport,
  audit,
  auditMarkdown,
  type Band,
  type Check,
  type Claim,
  claimConfig,
  count,
  GRADES,
  odds,
  parseClaim,
  percent,
  SIGN,
  usd,
  VERDICTS,
} from "../plan/audit/index.ts";
import { CLAIMS, claimOf } from "../plan/claims/index.ts";
import { readJson } from "./models.ts";
import { writeOutput } from "./output.ts";

/** `sumbi audit CLAIM`: whether a published claim adds up, and how far it can be believed. */
export function register(program: Command): void {
  program
    .command("audit")
    .description("work a published claim out again: sums, physics, other runs, a prediction, a verdict")
    .argument("<claim>", `a claim's JSON file, or one of ${Object.keys(CLAIMS).join(", ")}`)
    .option("--full", "print every check, comparison and source")
    .option("--json", "print one JSON object")
    .option("--markdown <file>", "also write the whole audit as a document")
    .action((name: string, options: { full?: boolean; json?: boolean; markdown?: string }) => {
      const { claim, config } = load(name);
      const report = audit(claim, { config });
      const document = () =>
        auditMarkdown(report, `sumbi audit ${name}${options.markdown ? ` --markdown ${options.markdown}` : ""}`);
      if (options.markdown)
        writeOutput("--markdown", options.markdown, document(), (text) =>
          /^# Audit: .*\n\nMade by `sumbi audit /.test(text),
        );
      process.stdout.write(
        options.json ? `${JSON.stringify(report, null, 2)}\n` : options.full ? auditMarkdown(report) : draw(report),
      );
    });
}

/** A shipped claim by name, or a file; a config.json that the file names is looked for beside it. */
function load(name: string): { claim: Claim; config: ModelConfig } {
  if (!existsSync(name)) {
    if (Object.hasOwn(CLAIMS, name)) {
      const claim = claimOf(name);
      return { claim, config: claimConfig(claim) };
    }
    throw new ConfigError(
      `audit: expected a claim's JSON file or one of ${Object.keys(CLAIMS).join(", ")}; got ${name}`,
    );
  }
  if (statSync(name).isDirectory())
    throw new ConfigError(`audit: expected a claim's JSON file, got the folder ${name}`);
  const claim = parseClaim(readJson(name), name);
  return {
    claim,
    config: claimConfig(claim, (path) => {
      const at = resolve(dirname(name), path);
      if (!existsSync(at)) throw new ConfigError(`${name}: model: expected ${at}, but it does not exist`);
      const file = statSync(at).isDirectory() ? join(at, "config.json") : at;
      return parseConfig(readJson(file), file);
    }),
  };
}

const PAINT: Record<Check["grade"], (text: string) => string> = {
  ok: pc.green,
  aggressive: pc.yellow,
  unshown: pc.magenta,
  broken: pc.red,
  unknown: pc.dim,
};

/** Checks that share a line where both hold. */
const PAIRS: Record<string, string> = { kernels: "pairs", layout: "memory", calendar: "law" };

/** One screen: verdict first, then what it rests on. */
export function draw(report: AuditReport, width = 118): string {
  const { claim, verdict, hours, money } = report;
  const lines: string[] = [];
  const row = (label: string, text: string, paint: (t: string) => string = (t) => t, sign = " ") => {
    const [first, ...rest] = wrap(text, width - 23);
    lines.push(
      `${paint(sign.padEnd(2))} ${label.padEnd(19)} ${first}`.trimEnd(),
      ...rest.map((line) => `${" ".repeat(23)}${line}`),
    );
  };
  const scale = [...GRADES]
    .reverse()
    .map((grade) =>
      grade === verdict.grade ? PAINT[grade](pc.bold(`◉ ${VERDICTS[grade]}`)) : pc.dim(`○ ${VERDICTS[grade]}`),
    );
  const value = (label: string) => report.restated.find((line) => line.label === label)?.value;
  lines.push(`${pc.bold(report.title)}  ${claim.who}, ${claim.date}: ${value("total")}`);
  lines.push(pc.dim(`   ${[value("model"), value("work"), value("chips")].filter(Boolean).join(" · ")}`), "");
  lines.push(`   ${scale.join("   ")}`, ...wrap(`${verdict.because}.`, width - 3).map((line) => `   ${line}`), "");

  const sums = report.checks.filter(
    ({ kind, grade, id }) => kind === "sums" && grade === "ok" && id !== "goodput" && id !== "covered",
  );
  if (sums.length > 0) {
    const best = sums.find(({ topic }) => topic === "steps") ?? sums.find(({ topic }) => topic === "wall") ?? sums[0];
    row(
      `${sums.length} sum${sums.length === 1 ? "" : "s"}`,
      `${sums.length === 1 ? "holds" : "hold"} to 1.5 %: ${best!.short}`,
      PAINT.ok,
      SIGN.ok,
    );
  }
  const told = ({ id, grade, numbers }: Check) => !(id === "covered" && grade === "ok" && numbers.share! > 0.95);
  const rest = report.checks.filter((check) => !sums.includes(check) && told(check));
  for (const check of rest) {
    const pair = rest.find(({ id }) => id === PAIRS[check.id]);
    const joined = pair?.grade === "ok" && check.grade === "ok";
    if (rest.some(({ id, grade }) => PAIRS[id] === check.id && grade === "ok" && check.grade === "ok")) continue;
    row(label(check), joined ? `${check.short}; ${pair.short}` : check.short, PAINT[check.grade], SIGN[check.grade]);
  }
  lines.push("");
  const three = (band: Band, show: (n: number, figures?: number) => string) =>
    `${show(band.p10, 3)} … ${pc.bold(show(band.p50, 3))} … ${show(band.p90, 3)}`;
  lines.push(pc.dim(`   ${"".padEnd(19)} 10 % … 50 % … 90 %`));
  row(
    "true GPU-hours",
    `${three(hours, count)}   ${percent(hours.asStated, 0)} that they are as stated (${percent(hours.trusting, 0)} for who gave them ${percent(hours.priors[1], 0)} before)`,
  );
  lines.push(...wrap(report.hours.restsOn, width - 3).map((line) => `   ${line}`));
  row(
    money.finalRun.what,
    `${three(money.finalRun.usd, usd)}   ${money.stated ? `stated: ${usd(money.stated)}` : "no price stated"}`,
  );
  row(money.programme.what, `${three(money.programme.usd, usd)}   with experiments, failed runs and staff`);
  if (money.ownership)
    row("buying the cluster", `${three(money.ownership.usd, usd)}   another way to pay, not an addition`);
  lines.push("");
  row("left out", `${report.leftOut.map(({ what }) => what).join("; ")}.`);
  for (const { name, fits, likelihoodRatio } of report.alternatives)
    lines.push(`   ${name.padEnd(44)} fits the details ${fits} (${odds(likelihoodRatio)})`);
  return `${lines.join("\n")}\n`;
}

/** Topics as the left column says them, where their titles are too long for it. */
const LABELS: Partial<Record<Check["topic"], string>> = {
  goodput: "lost time",
  covered: "counted",
  peak: "peak",
  kernels: "kernels",
  pairs: "pairs",
  layout: "layout",
  memory: "memory",
  prediction: "prediction",
  peers: "other runs",
  rollouts: "answers sampled",
  clock: "longest answer",
  calendar: "calendar",
  law: "law",
};
const label = ({ topic, title }: Check): string =>
  LABELS[topic] ?? (title.length > 19 ? `${title.slice(0, 18)}…` : title);

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > width && line !== "") {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
