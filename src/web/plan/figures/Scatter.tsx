/** Figure: layouts and clusters by time and cost. */
import { useState } from "preact/hooks";
import type { Point } from "../messages.ts";
import { logTicks, useWidth } from "./measure.ts";

/** Points that no other beats in both time and cost, by time; what could not be had legally is no choice. */
export function frontier(points: readonly Point[]): Point[] {
  const out: Point[] = [];
  for (const point of points.filter((p) => p.legal !== false).sort((a, b) => a.days - b.days || a.usd - b.usd))
    if (out.length === 0 || point.usd < out.at(-1)!.usd) out.push(point);
  return out;
}

const NAMES = { here: "layouts for this question", gpus: "other GPU counts", chips: "other chips" } as const;

/** Cost against time, both logarithmic; the axis of cost is round in a currency of `perUsd` units per dollar. Every point can be hovered, focused and read. */
export function Scatter(props: {
  points: Point[];
  now: Point | null;
  perUsd: number;
  formatX: (days: number) => string;
  formatY: (usd: number) => string;
  onPick?: (point: Point) => void;
}) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const [at, setAt] = useState<Point | null>(null);
  const { points, formatX, formatY, perUsd } = props;
  const height = Math.round(Math.min(360, Math.max(240, width * 0.45)));
  const pad = { left: 66, right: 14, top: 12, bottom: 40 };
  const spread = (values: number[]): [number, number] => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const room = Math.max(1.12, (high / low) ** 0.06);
    return [low / room, high * room];
  };
  const [lowX, highX] = points.length > 0 ? spread(points.map((p) => p.days)) : [1, 100];
  const [lowY, highY] = points.length > 0 ? spread(points.map((p) => p.usd)) : [1e5, 1e7];
  const place = (value: number, low: number, high: number) => Math.log(value / low) / Math.log(high / low);
  const x = (days: number) => pad.left + place(days, lowX, highX) * (width - pad.left - pad.right);
  const y = (usd: number) => height - pad.bottom - place(usd, lowY, highY) * (height - pad.top - pad.bottom);
  const best = frontier(points);
  const shown = at ?? props.now;
  const tell = (point: Point) =>
    `${point.label}: ${formatX(point.days)}, ${formatY(point.usd)}. ${point.layout}. ${point.why}`;
  return (
    <div ref={ref} class="scatter">
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="group"
        aria-label={`Cost against time of ${points.length} plans; ${best.length} of them on the frontier`}
      >
        <g class="axis">
          {logTicks(lowX, highX, Math.max(3, Math.floor(width / 90))).map((tick) => (
            <g key={tick}>
              <line class="grid" x1={x(tick)} x2={x(tick)} y1={pad.top} y2={height - pad.bottom} />
              <text
                x={Math.min(width - 1, x(tick))}
                y={height - pad.bottom + 15}
                text-anchor={x(tick) > width - 26 ? "end" : "middle"}
              >
                {formatX(tick)}
              </text>
            </g>
          ))}
          {logTicks(lowY * perUsd, highY * perUsd, 6)
            .map((sum) => sum / perUsd)
            .map((tick) => (
              <g key={tick}>
                <line class="grid" x1={pad.left} x2={width - pad.right} y1={y(tick)} y2={y(tick)} />
                <text x={pad.left - 8} y={y(tick) + 4} text-anchor="end">
                  {formatY(tick)}
                </text>
              </g>
            ))}
          <text x={width - pad.right} y={height - 5} text-anchor="end">
            time →
          </text>
          <text x={4} y={height - 5}>
            ↑ cost of the final run
          </text>
        </g>
        {best.length > 1 && (
          <path
            class="frontier"
            d={best.map((p, i) => `${i === 0 ? "M" : "L"}${x(p.days).toFixed(1)} ${y(p.usd).toFixed(1)}`).join("")}
          />
        )}
        {points.map((point, i) => (
          <circle
            key={i}
            class={`dot ${point.kind} ${best.includes(point) ? "best" : ""} ${point.legal === false ? "barred" : ""} ${point === props.now ? "now" : ""}`}
            cx={x(point.days)}
            cy={y(point.usd)}
            r={point === shown ? 7 : best.includes(point) ? 5.5 : 4}
            tabIndex={0}
            role="button"
            aria-label={tell(point)}
            onMouseEnter={() => setAt(point)}
            onMouseLeave={() => setAt(null)}
            onFocus={() => setAt(point)}
            onBlur={() => setAt(null)}
            onClick={() => props.onPick?.(point)}
            onKeyDown={(event) => {
              if (event.key === "Enter" || event.key === " ") {
                event.preventDefault();
                props.onPick?.(point);
              }
            }}
          />
        ))}
        {props.now && (
          <path
            class="here-mark"
            d={`M${x(props.now.days)} ${y(props.now.usd) - 13}v-8m-3.500 4.500l3.500 4l3.500-4`}
          />
        )}
      </svg>
      <ul class="legend">
        {(["here", "gpus", "chips"] as const).map((kind) => (
          <li key={kind}>
            <i class={`dot-mark ${kind}`} aria-hidden="true" />
            <span>{NAMES[kind]}</span>
          </li>
        ))}
        <li>
          <i class="dot-mark line" aria-hidden="true" />
          <span>frontier: nothing is both faster and cheaper</span>
        </li>
        {points.some((p) => p.legal === false) && (
          <li>
            <i class="dot-mark barred" aria-hidden="true" />
            <span>not to be had legally there and then</span>
          </li>
        )}
      </ul>
      <p class="readout" role="status">
        {shown ? (
          <>
            <b>{shown.label}</b> {formatX(shown.days)} · {formatY(shown.usd)} · {shown.layout}.{" "}
            <span class="faint">{shown.why}</span>
          </>
        ) : (
          <span class="faint">Point at a plan to see its layout and why it stands where it does.</span>
        )}
      </p>
    </div>
  );
}
