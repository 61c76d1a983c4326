/** Figure: values with their 80 % bands. */
import { logTicks, useWidth } from "./measure.ts";

export interface BandRow {
  name: string;
  p10: number;
  p90: number;
  p50: number;
  /** A figure from elsewhere to hold against the band. */
  mark?: { value: number; name: string };
}

/** Estimates with their error bars, on one logarithmic axis. */
export function Bands({ label, rows, format }: { label: string; rows: BandRow[]; format: (value: number) => string }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const all = rows
    .flatMap((row) => [row.p10, row.p90, row.p50, ...(row.mark ? [row.mark.value] : [])])
    .filter((v) => v > 0);
  const low = Math.min(...all) / 1.15;
  const high = Math.max(...all) * 1.15;
  const left = width < 480 ? 8 : 190;
  const pitch = width < 480 ? 52 : 40;
  const px = (value: number) =>
    left + ((Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (width - left - 14);
  const height = rows.length * pitch + 26;
  return (
    <div ref={ref}>
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${label}. ${rows.map((r) => `${r.name}: ${format(r.p50)}, from ${format(r.p10)} to ${format(r.p90)}${r.mark ? `; ${r.mark.name} ${format(r.mark.value)}` : ""}`).join(". ")}`}
      >
        <g class="axis">
          {logTicks(low, high, Math.max(3, Math.floor(width / 90))).map((tick) => (
            <g key={tick}>
              <line class="grid" x1={px(tick)} x2={px(tick)} y1={4} y2={height - 20} />
              <text
                x={Math.min(width - 1, px(tick))}
                y={height - 5}
                text-anchor={px(tick) > width - 26 ? "end" : "middle"}
              >
                {format(tick)}
              </text>
            </g>
          ))}
        </g>
        {rows.map((row, i) => {
          const y = i * pitch + (width < 480 ? 34 : 22);
          return (
            <g key={row.name}>
              <text
                class="name"
                x={width < 480 ? 8 : left - 12}
                y={width < 480 ? y - 16 : y + 4}
                text-anchor={width < 480 ? "start" : "end"}
              >
                {row.name}
              </text>
              <rect
                class="band"
                x={px(row.p10)}
                y={y - 7}
                width={Math.max(1, px(row.p90) - px(row.p10))}
                height={14}
                rx={4}
              >
                <title>{`${row.name}: 10th to 90th percentile, ${format(row.p10)} to ${format(row.p90)}`}</title>
              </rect>
              <circle class="middle" cx={px(row.p50)} cy={y} r={5}>
                <title>{`${row.name}: ${format(row.p50)}`}</title>
              </circle>
              {row.mark && (
                <path class="stated" d={`M${px(row.mark.value)} ${y - 11}v22`}>
                  <title>{`${row.mark.name}: ${format(row.mark.value)}`}</title>
                </path>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}
