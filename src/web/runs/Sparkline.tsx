/** A curve in a line of text. */

/** The shape of a curve in a line of text. Many values are thinned to what a pixel can show, keeping each one's extremes. */
export function thin(values: readonly number[], points: number): number[] {
  if (values.length <= points) return [...values];
  const out: number[] = [];
  for (let i = 0; i < points; i++) {
    const part = values.slice(Math.floor((i * values.length) / points), Math.floor(((i + 1) * values.length) / points));
    out.push(part.reduce((sum, v) => sum + v, 0) / part.length);
  }
  return out;
}

export function Sparkline({
  values,
  name,
  width = 120,
  height = 30,
}: {
  values: readonly number[];
  /** Of what. */
  name: string;
  width?: number;
  height?: number;
}) {
  const seen = thin(
    values.filter((v) => Number.isFinite(v)),
    width / 2,
  );
  if (seen.length < 2) return <span class="faint">–</span>;
  const low = Math.min(...seen);
  const span = Math.max(...seen) - low || 1;
  const points = seen.map(
    (v, i) =>
      `${((i / (seen.length - 1)) * (width - 6) + 3).toFixed(1)},${(height - 4 - ((v - low) / span) * (height - 8)).toFixed(1)}`,
  );
  const [x, y] = points.at(-1)!.split(",");
  return (
    <svg
      class="spark"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={`${name} from ${seen[0]!.toFixed(2)} to ${seen.at(-1)!.toFixed(2)}`}
    >
      <polyline
        points={points.join(" ")}
        fill="none"
        stroke="currentColor"
        stroke-width="1.6"
        stroke-linejoin="round"
        stroke-linecap="round"
      />
      <circle cx={x} cy={y} r="2.4" fill="currentColor" />
    </svg>
  );
}
