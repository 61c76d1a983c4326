/** Figure: a whole and its parts, side by side. */
import { useState } from "preact/hooks";
import { Legend } from "./Figure.tsx";
import { ticks, useWidth } from "./measure.ts";

export interface Segment {
  name: string;
  value: number;
  help?: string;
  /** Place in the palette; by order otherwise. */
  color?: number;
}

/** The page's colours of parts, by place. */
export const paint = (place: number): string => `var(--c${(place % 10) + 1})`;

/** Parts of a whole as one bar, with what may not be exceeded as a line across it. */
export function Stack(props: {
  label: string;
  parts: Segment[];
  format: (value: number) => string;
  limit?: { value: number; name: string };
  scale?: number;
}) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const [on, setOn] = useState<string | null>(null);
  const parts = props.parts
    .map((part, i) => ({ ...part, color: paint(part.color ?? i) }))
    .filter((part) => part.value > 0);
  const total = parts.reduce((sum, part) => sum + part.value, 0);
  const scale = Math.max(props.scale ?? 0, total, props.limit?.value ?? 0) * (props.limit ? 1.04 : 1) || 1;
  const px = (value: number) => (value / scale) * width;
  const share = (value: number) =>
    `${props.format(value)} (${((value / total) * 100).toFixed(value / total < 0.0995 ? 1 : 0)} %)`;
  let x = 0;
  const boxes = parts.map((part) => {
    const at = x;
    x += part.value;
    return { ...part, at };
  });
  const over = props.limit !== undefined && total > props.limit.value;
  return (
    <div ref={ref} class="stack">
      <svg
        width={width}
        height={62}
        viewBox={`0 0 ${width} 62`}
        role="img"
        aria-label={`${props.label}: ${parts.map((p) => `${p.name} ${props.format(p.value)}`).join(", ")}; together ${props.format(total)}${props.limit ? ` of ${props.format(props.limit.value)}` : ""}`}
      >
        <rect class="trough" x={0} y={18} width={width} height={26} rx={5} />
        {boxes.map((box) => (
          <rect
            key={box.name}
            class={`part ${on && on !== box.name ? "off" : ""}`}
            fill={box.color}
            x={px(box.at)}
            y={18}
            width={Math.max(0.5, px(box.value) - (px(box.value) > 3 ? 1 : 0))}
            height={26}
            onMouseEnter={() => setOn(box.name)}
            onMouseLeave={() => setOn(null)}
          >
            <title>{`${box.name}: ${share(box.value)}`}</title>
          </rect>
        ))}
        {props.limit && (
          <g class={over ? "limit over" : "limit"}>
            <line x1={px(props.limit.value)} x2={px(props.limit.value)} y1={12} y2={48} />
            <text x={px(props.limit.value) - 4} y={11} text-anchor="end">
              {props.limit.name}
            </text>
          </g>
        )}
        <g class="axis">
          {ticks(0, scale, Math.max(2, Math.floor(width / 80))).map((tick) => (
            <text
              key={tick}
              x={Math.min(width - 1, Math.max(1, px(tick)))}
              y={59}
              text-anchor={px(tick) < 20 ? "start" : px(tick) > width - 24 ? "end" : "middle"}
            >
              {props.format(tick)}
            </text>
          ))}
        </g>
      </svg>
      <Legend
        items={boxes.map((box) => ({ name: box.name, color: box.color, value: share(box.value), help: box.help }))}
        on={on}
        onPick={setOn}
      />
    </div>
  );
}
