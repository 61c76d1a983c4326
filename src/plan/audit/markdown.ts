/** An audit's report as Markdown. */
import type { Source } from "../types.ts";
import { count, percent, trim, usd } from "./figures.ts";
import { type AuditReport, type Band, type Check, type MoneyLine, VERDICTS } from "./report.ts";

/** A mark for each grade, for text without colour. */
export const SIGN: Record<Check["grade"], string> = {
  ok: "✓",
  aggressive: "!",
  unshown: "✗",
  broken: "✗✗",
  unknown: "?",
};
const WORD: Record<Check["grade"], string> = { ...VERDICTS, unknown: "cannot be told" };

const hours = ({ p10, p50, p90 }: Band) => `${count(p10, 3)} · **${count(p50, 3)}** · ${count(p90, 3)}`;
const money = ({ usd: { p10, p50, p90 } }: MoneyLine) => `${usd(p10, 2)} · **${usd(p50, 2)}** · ${usd(p90, 2)}`;
const cell = (text: string) => text.replaceAll("|", "\\|");
const table = (head: string[], rows: string[][]) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");

/** The whole audit as a document; `command` is what made it, quoted at the top. */
export function auditMarkdown(report: AuditReport, command?: string): string {
  const { claim, verdict, implied } = report;
  const refs = new Map(report.sources.map((source, i) => [keyOf(source), i + 1]));
  const cite = (sources: Source[]) => {
    const numbers = [...new Set(sources.map((source) => refs.get(keyOf(source))).filter((n) => n !== undefined))].sort(
      (a, b) => a - b,
    );
    return numbers.length > 0 ? `[${numbers.join(", ")}]` : "";
  };
  const byId = (id: string) => report.checks.find((check) => check.id === id)!;
  const bullets = (ids: string[]) =>
    ids
      .map((id) =>
        `- ${SIGN[byId(id).grade]} **${byId(id).title}**: ${byId(id).says} ${cite(byId(id).sources)}`.trimEnd(),
      )
      .join("\n");
  const parts: string[] = [`# Audit: ${report.title}`];
  if (command)
    parts.push(
      `Made by \`${command}\`. Bands are 10th · **50th** · 90th percentile. How the verdict follows from the checks stands in [decision 044](decisions/044-audit.md).`,
    );
  parts.push(`## Verdict: ${verdict.label}`, `${capital(verdict.because)}.`);
  parts.push(
    table(
      ["", "10 % · 50 % · 90 %", "stated"],
      [
        ["true GPU-hours", hours(report.hours), count(report.hours.stated)],
        [
          report.money.finalRun.what,
          money(report.money.finalRun),
          report.money.stated ? usd(report.money.stated) : "–",
        ],
        [report.money.programme.what, money(report.money.programme), "–"],
        ...(report.money.ownership ? [[report.money.ownership.what, money(report.money.ownership), "–"]] : []),
      ],
    ),
  );
  parts.push(
    `Chance that the hours are as stated: ${percent(report.hours.asStated, 0)}, from ${percent(report.hours.priors[0], 0)} before the evidence; ${percent(report.hours.trusting, 0)} for a reader who began with ${percent(report.hours.priors[1], 0)}. ${report.hours.how} ${report.hours.restsOn}`,
  );
  parts.push(
    "## What is claimed",
    table(
      ["", ""],
      report.restated.map(({ label, value }) => [label, value]),
    ),
  );
  if (claim.notes.length > 0) parts.push(claim.notes.map((note) => `- ${note}`).join("\n"));
  if (implied) {
    const { flopsPerToken: f } = implied;
    parts.push(
      "## What the numbers imply",
      table(
        ["over all phases whose tokens are stated", ""],
        [
          [
            "FLOPs per token, causal",
            `${trim(f.causal / 1e9, 4)} GFLOP${f.causalMtp ? `; with MTP ${trim(f.causalMtp / 1e9, 4)}` : ""}; whole attention square ${trim(f.full / 1e9, 4)}`,
          ],
          ["tokens/s/GPU", trim(implied.tokensPerSecondPerGpu, 4)],
          ["MFU of the BF16 peak", `${percent(implied.mfuCausal)} causal, ${percent(implied.mfuFull)} whole square`],
          [
            "share of what FP8 products with BF16 attention could do",
            claim.precision === "fp8" ? percent(implied.shareOfMixedPeak) : "– (BF16 run)",
          ],
        ],
      ),
    );
  }
  parts.push("## For it", bullets(report.for) || "Nothing.");
  parts.push("## Against it, or at the edge", bullets(report.against) || "Nothing.");
  if (report.open.length > 0) parts.push("## Cannot be told", bullets(report.open));
  if (report.predicted) {
    const { parts: step, gpuHours, stepSeconds, memoryBytes } = report.predicted;
    parts.push(
      "## Predicted",
      `The planner's constants are fitted on published runs, those of the claim's own family left out where there are some ([accuracy.md](accuracy.md)). ${count(gpuHours.p50, 3)} GPU-hours of pre-training (${count(gpuHours.p10, 3)} to ${count(gpuHours.p90, 3)}), a step of ${trim(stepSeconds, 4)} s. ${report.predicted.how}`,
    );
    if (step)
      parts.push(
        table(
          ["part of a step", "seconds"],
          Object.entries(step)
            .filter(([, s]) => s > 0)
            .map(([name, s]) => [name, trim(s)]),
        ),
      );
    if (memoryBytes)
      parts.push(
        table(
          ["memory of a GPU", "GB"],
          Object.entries(memoryBytes).map(([name, b]) => [name, trim(b / 1e9)]),
        ),
      );
  }
  if (report.peers.length > 0) {
    parts.push(
      "## Beside other runs",
      "Hours that the claim's pre-training would take at the rate of others: the same model token for token, other models by the share of the peak they reached.",
      table(
        ["run", "how", "GPU-hours", "the claim is", ""],
        report.peers.map((peer) => [
          `${peer.name}${peer.like ? " (same model)" : ""}`,
          peer.how,
          count(peer.gpuHours, 3),
          peer.ratio >= 1 ? `${percent(peer.ratio - 1, 0)} faster` : `${percent(1 - peer.ratio, 0)} slower`,
          cite(peer.sources),
        ]),
      ),
    );
  }
  parts.push("## Other explanations");
  for (const { name, says, needs, likelihoodRatio, fits, sources } of report.alternatives) {
    parts.push(
      `### ${name}`,
      `${says} The published details fit it ${fits} (likelihood ${odds(likelihoodRatio)} against the claim as stated). ${cite(sources)}`.trimEnd(),
      table(
        ["", "as claimed", "as this would have it", "fits"],
        needs.map((need) => [
          need.quantity,
          need.stated,
          need.needed,
          need.fits === "same" ? "no difference seen from outside" : need.fits,
        ]),
      ),
    );
  }
  parts.push(
    "## What it leaves out",
    report.leftOut.map(({ what, said }) => `- ${what}${said ? " (it says so)" : ""}`).join("\n"),
  );
  parts.push(
    table(
      ["line", "10 % · 50 % · 90 %", "how", ""],
      [report.money.finalRun, report.money.programme, ...(report.money.ownership ? [report.money.ownership] : [])].map(
        (line) => [line.what, money(line), line.how, cite(line.sources)],
      ),
    ),
    "The last line is another way to pay, not an addition. How many times the final run's compute a programme took, where somebody measured it:",
    table(
      ["who", "times", ""],
      report.money.multiples.map(({ what, times, source }) => [what, trim(times, 2), cite([source])]),
    ),
  );
  parts.push(
    "## Sources",
    report.sources
      .map(
        (source, i) =>
          `${i + 1}. ${source.title}, ${source.date} (${source.mark})${source.url ? `: ${source.url}` : ""}`,
      )
      .join("\n"),
  );
  parts.push(`Marks: ✓ ${WORD.ok}; ! ${WORD.aggressive}; ✗ ${WORD.unshown}; ✗✗ ${WORD.broken}; ? ${WORD.unknown}.`);
  return `${parts.join("\n\n")}\n`;
}

/** `1 : 40`, `1.3 : 1`; beyond a hundred the models behind it are not good enough to say. */
export const odds = (ratio: number): string =>
  ratio > 100
    ? "over 100 : 1"
    : ratio >= 1
      ? `${trim(ratio, 2)} : 1`
      : ratio < 0.01
        ? "under 1 : 100"
        : `1 : ${trim(1 / ratio, 2)}`;

const keyOf = (source: Source) => `${source.title}|${source.url ?? ""}`;
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
