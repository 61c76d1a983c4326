/** Curves over a run's steps, with a cursor shared by all charts. */
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { useStore } from "../store.ts";
import { figure } from "../ui/format.ts";
import { dark } from "../ui/theme.ts";
import { cssColor } from "./colors.ts";

export interface Curve {
  name: string;
  color: string;
  /** Same length as the chart's x. */
  values: (number | null)[];
  /** How it is drawn: a line, a faint line behind another, or dots joined by a thin line. */
  look?: "line" | "faint" | "dots";
}

interface Props {
  title: string;
  help?: string;
  x: number[];
  xName: string;
  curves: Curve[];
  /** Axis labels and values; default: `figure`. */
  format?: (value: number) => string;
  formatX?: (value: number) => string;
  log?: boolean;
  height?: number;
  /** Charts with the same key move their cursors together. */
  sync?: string;
  wide?: boolean;
}

/** Curves over a common x. Hovering shows the values there; dragging zooms in, a double click zooms out. */
export function Chart({
  title,
  help,
  x,
  xName,
  curves,
  format = figure,
  formatX = figure,
  log = false,
  height = 200,
  sync = "run",
  wide = false,
}: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const zoomed = useRef(false);
  const [at, setAt] = useState<number | null>(null);
  const isDark = useStore(dark);
  const shape = curves.map((c) => c.name + c.color + c.look).join("|");
  const data = [x, ...curves.map((c) => c.values)] as uPlot.AlignedData;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const axis = {
      stroke: cssColor("--faint"),
      grid: { stroke: cssColor("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        padding: [10, 20, 0, 0],
        cursor: { sync: { key: sync }, points: { size: 7 }, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: { distr: log ? 3 : 1 } },
        axes: [
          { ...axis, size: 26, values: (_u, splits) => splits.map((v) => formatX(v)) },
          {
            ...axis,
            size: 54,
            values: (_u, splits) => splits.map((v) => (v == null ? "" : (format === figure ? tick : format)(v))),
          },
        ],
        series: [
          {},
          ...curves.map((curve) => ({
            label: curve.name,
            stroke: curve.color,
            alpha: curve.look === "faint" ? 0.3 : 1,
            width: curve.look === "faint" ? 1 : curve.look === "dots" ? 1.5 : 1.8,
            spanGaps: true,
            points: curve.look === "dots" ? { show: true, size: 6, fill: curve.color } : { show: false },
          })),
        ],
        hooks: {
          setCursor: [(u) => setAt(u.cursor.idx ?? null)],
          setSelect: [(u) => void (zoomed.current = u.select.width > 0)],
        },
      },
      data,
      element,
    );
    const unzoom = () => void (zoomed.current = false);
    made.over.addEventListener("dblclick", unzoom);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, isDark, log, height, xName]);

  useEffect(() => {
    const live = plot.current;
    if (!live) return;
    if (!zoomed.current) live.setData(data);
    else {
      // Keep the reader's window on x while new points come.
      const { min, max } = live.scales.x!;
      live.setData(data, false);
      live.setScale("x", { min: min ?? 0, max: max ?? 1 });
    }
  }, [x, curves]);

  const index = at ?? null;
  return (
    <figure class={`chart ${wide ? "wide" : ""}`} aria-label={summary(title, curves, format)}>
      <figcaption>
        <h3 title={help}>{title}</h3>
        <span class="chart-values">
          {index !== null && x[index] !== undefined && (
            <span class="faint">
              {xName} {formatX(x[index])}
            </span>
          )}
          {curves
            .filter((c) => c.look !== "faint")
            .map((c) => (
              <span key={c.name}>
                <i ref={(mark) => void (mark && (mark.style.background = c.color))} />
                {c.name} <b>{value(c.values, index, format)}</b>
              </span>
            ))}
        </span>
      </figcaption>
      <div ref={box} class="plot" />
    </figure>
  );
}

/** A number on an axis: as few figures as it needs. */
function tick(v: number): string {
  const rounded = Number(v.toPrecision(6));
  return rounded !== 0 && Math.abs(rounded) < 1e-3
    ? rounded.toExponential()
    : rounded.toLocaleString("en-US", { maximumFractionDigits: 6 });
}

/** The value at the cursor; a curve with gaps shows its last value before it. */
function value(values: (number | null)[], index: number | null, format: (v: number) => string): string {
  for (let i = index ?? values.length - 1; i >= 0; i--) if (values[i] != null) return format(values[i]!);
  return "–";
}

function summary(title: string, curves: Curve[], format: (v: number) => string): string {
  return `${title}: ${curves
    .filter((c) => c.look !== "faint")
    .map((c) => `${c.name} now ${value(c.values, null, format)}`)
    .join(", ")}`;
}
