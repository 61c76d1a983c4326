// Draws figures of the docs from run logs, as SVG: node scripts/plot.mjs loss OUT.svg RUN… [--overwrite] | node scripts/plot.mjs busiest OUT.svg RUN…
// RUN is a run folder (runs/<id>), or label=folder. "loss" draws training (thin, smoothed) and held-out loss; "busiest" the load of the
// busiest expert of any layer as a multiple of the mean (moving average). OUT.svg may be new or an earlier figure of the same kind.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
const args = process.argv.slice(2);
const [kind, out, ...runs] = args.filter((arg) => arg !== "--overwrite");
if (!["loss", "busiest"].includes(kind) || !out || runs.length === 0) {
  console.error("expected: loss|busiest OUT.svg RUN… [--overwrite]");
  process.exit(2);
}
const [W, H, L, R, T, B] = [760, 380, 60, 20, 20, 50];
const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${W} ${H}" font-family="system-ui, sans-serif">`;
const axis = kind === "loss" ? "loss, nats per token" : "busiest expert, × mean";
if (!args.includes("--overwrite") && existsSync(out)) {
  const there = readFileSync(out, "utf8");
  if (!there.startsWith(head) || !there.includes(axis)) {
    console.error(
      `${out}: expected no file, or an earlier figure of "${axis}", got another: choose another name, or say --overwrite`,
    );
    process.exit(2);
  }
}

const series = runs.flatMap((run, i) => {
  const [label, dir] = run.includes("=") ? run.split("=") : [basename(run), run];
  const byStep = new Map();
  for (const line of readFileSync(join(dir, "log.jsonl"), "utf8").trim().split("\n")) {
    const record = JSON.parse(line);
    byStep.set(`${record.type} ${record.step}`, record);
  }
  const of = (type, value) =>
    [...byStep.values()]
      .filter((r) => r.type === type)
      .map((r) => [r.step, value(r)])
      .sort((a, b) => a[0] - b[0]);
  const color = COLORS[i % COLORS.length];
  if (kind === "busiest") return [{ label, color, width: 2, points: of("load", (r) => r.busiest) }];
  return [
    {
      label: `${label}, training`,
      color,
      width: 1,
      points: smooth(
        of("step", (r) => r.mainLoss),
        0.05,
      ),
    },
    { label: `${label}, held out`, color, width: 2.5, dash: "6 3", points: of("eval", (r) => r.loss) },
  ];
});

function smooth(points, weight) {
  let average;
  return points.map(([x, y]) => [x, (average = average === undefined ? y : average + weight * (y - average))]);
}

const all = series.flatMap((s) => s.points);
const xMax = Math.max(...all.map((p) => p[0]));
const yMin = kind === "busiest" ? 1 : 0;
const yMax = Math.min(Math.max(...all.map((p) => p[1])), kind === "loss" ? 5 : Infinity) * 1.02;
const x = (v) => L + (v / xMax) * (W - L - R);
const y = (v) => H - B - ((Math.min(v, yMax) - yMin) / (yMax - yMin)) * (H - T - B);
const ticks = (max, min = 0) => {
  const step =
    [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((s) => (max - min) / s <= 7) ?? 10000;
  return Array.from(
    { length: Math.floor((max - min) / step) + 1 },
    (_, i) => Math.round((Math.ceil(min / step) * step + i * step) * 1000) / 1000,
  ).filter((t) => t <= max);
};
const text = (at, words, extra = "") =>
  `<text x="${at[0]}" y="${at[1]}" font-size="12" fill="#555" ${extra}>${words}</text>`;
const parts = [
  ...ticks(yMax, yMin).map(
    (t) =>
      `<line x1="${L}" x2="${W - R}" y1="${y(t)}" y2="${y(t)}" stroke="#ddd"/>${text([L - 8, y(t) + 4], t, 'text-anchor="end"')}`,
  ),
  ...ticks(xMax).map((t) => text([x(t), H - B + 18], t, 'text-anchor="middle"')),
  text([(L + W - R) / 2, H - 12], "step", 'text-anchor="middle"'),
  text([16, (T + H - B) / 2], axis, `text-anchor="middle" transform="rotate(-90 16 ${(T + H - B) / 2})"`),
  ...(kind === "busiest" && yMax > 1.5
    ? [`<line x1="${L}" x2="${W - R}" y1="${y(1.5)}" y2="${y(1.5)}" stroke="#888" stroke-dasharray="2 4"/>`]
    : []),
  ...series.map(
    (s) =>
      `<polyline fill="none" stroke="${s.color}" stroke-width="${s.width}" ${s.dash ? `stroke-dasharray="${s.dash}"` : ""} points="${s.points.map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" ")}"/>`,
  ),
  ...series.map(
    (s, i) =>
      `<line x1="${W - 230}" x2="${W - 200}" y1="${T + 14 + i * 18}" y2="${T + 14 + i * 18}" stroke="${s.color}" stroke-width="${s.width}" ${s.dash ? `stroke-dasharray="${s.dash}"` : ""}/>${text([W - 192, T + 18 + i * 18], s.label)}`,
  ),
];
writeFileSync(out, `${head}<rect width="${W}" height="${H}" fill="#fff"/>${parts.join("\n")}</svg>\n`);
console.log(out);
