/** Curves of a run of reinforcement. */
import { useMemo } from "preact/hooks";
import { useStore } from "../store.ts";
import { percent } from "../ui/format.ts";
import { dark } from "../ui/theme.ts";
import { Chart, type Curve } from "./Chart.tsx";
import { look } from "./Controls.tsx";
import { CURVES } from "./colors.ts";
import { AXES, xOf } from "./curves.ts";
import type { RunLog } from "./log.ts";
import { policyCurves, quantitiesOf, SCORE, scoreAxis } from "./reasoning.ts";

/** Reward and its parts, tests, and what the answers were like; of what was logged. */
export function ReasonCharts({ log }: { log: RunLog }) {
  const view = useStore(look);
  const colors = useStore(dark) ? CURVES.dark : CURVES.light;
  const axis = AXES.find((a) => a.axis === view.axis)!;
  const x = useMemo(() => xOf(log.steps, view.axis), [log.version, view.axis]);
  const charts = useMemo(
    () =>
      quantitiesOf([log]).map((quantity) => ({
        quantity,
        curves: policyCurves(log, quantity, view.smoothing, colors),
      })),
    [log.version, view.smoothing, colors],
  );
  const [reward, ...rest] = charts.map(({ quantity: { title, help, format, wide }, curves }) => (
    <Chart
      key={title}
      title={title}
      help={help}
      x={x}
      xName={axis.name}
      formatX={axis.format}
      format={format}
      curves={curves}
      height={wide ? 240 : 170}
      wide={wide}
    />
  ));
  return (
    <>
      {reward}
      <ScoreChart log={log} />
      {rest}
    </>
  );
}

function ScoreChart({ log }: { log: RunLog }) {
  const view = useStore(look);
  const colors = useStore(dark) ? CURVES.dark : CURVES.light;
  const axis = AXES.find((a) => a.axis === view.axis)!;
  const x = useMemo(() => scoreAxis(log, view.axis), [log.version, view.axis]);
  const curves = useMemo(
    () =>
      SCORE.series.map(
        ({ name, of }, i): Curve => ({
          name,
          color: colors[i]!,
          values: log.scores.map((score) => score[of] ?? null),
          look: "dots",
        }),
      ),
    [log.version, colors],
  );
  if (log.scores.length === 0) return null;
  return (
    <Chart
      title={SCORE.title}
      help={`${SCORE.help} (${log.scores.at(-1)?.problems} of them)`}
      x={x}
      xName={axis.name}
      formatX={axis.format}
      format={percent}
      curves={curves}
      height={240}
      wide
    />
  );
}
