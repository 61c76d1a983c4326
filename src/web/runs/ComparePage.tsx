/** Up to six runs laid over each other, live. */
import { useEffect, useMemo } from "preact/hooks";
import { createStore, type Store, useStore } from "../store.ts";
import { dollars, duration, figure, percent, short } from "../ui/format.ts";
import { dark } from "../ui/theme.ts";
import { Chart, type Curve } from "./Chart.tsx";
import { Controls, look } from "./Controls.tsx";
import { CURVES } from "./colors.ts";
import { AXES, column, has, heldOut, overlay, QUANTITIES, xOf } from "./curves.ts";
import { useFollowed } from "./follow.ts";
import { followRun, type RunView } from "./live.ts";
import { isReinforced, latest, type RunLog, type StepRecord, smooth } from "./log.ts";
import { Recipe } from "./Recipe.tsx";
import { Card } from "./RunPage.tsx";
import { policyColumn, quantitiesOf, SCORE, scoreAxis } from "./reasoning.ts";

/** Up to six runs laid over each other, live, with a table of their ends and of what their recipes differ in. */
export function ComparePage({ ids }: { ids: string[] }) {
  const views = useFollowed(() => followAll(ids));
  const view = useStore(look);
  const colors = useStore(dark) ? CURVES.dark : CURVES.light;
  const axis = AXES.find((a) => a.axis === view.axis)!;
  useEffect(() => {
    document.title = `${ids.length} runs – Sumbi`;
  }, []);
  const version = views.map((v) => v.log.version).join();
  const names = useMemo(
    () =>
      unique(
        ids.map((id, i) => views[i]!.info?.recipeName ?? id),
        ids,
      ),
    [version],
  );
  const laid = (
    values: (log: RunLog) => (number | null)[],
    dots = false,
    axisOf = (log: RunLog) => xOf(log.steps, view.axis),
  ) => {
    const { x, columns } = overlay(views.map((v) => ({ x: axisOf(v.log), values: values(v.log) })));
    return {
      x,
      curves: columns.map(
        (c, i): Curve => ({
          name: names[i]!,
          color: colors[i % colors.length]!,
          values: c,
          look: dots ? "dots" : "line",
        }),
      ),
    };
  };
  const of = (key: keyof StepRecord, noisy?: boolean) =>
    laid((log) => smooth(column(log.steps, key), noisy ? view.smoothing : 0));
  const key = views.every((v) => v.log.steps.length === 0 || has(v.log, "mainLoss")) ? "mainLoss" : "loss";
  const logs = views.map((v) => v.log);
  const reinforced = logs.some(isReinforced);
  /** Every curve of what answers were like has a chart of its own, a line a run. */
  const reasoning = () => [
    ...quantitiesOf(logs).flatMap((quantity) =>
      quantity.series.map((one, i) => ({
        title: one.name === quantity.title.toLowerCase() ? quantity.title : `${quantity.title}: ${one.name}`,
        help: quantity.help,
        ...laid((log) => smooth(policyColumn(log, one), quantity.noisy ? view.smoothing : 0)),
        format: quantity.format,
        log: false,
        wide: i === 0 && quantity.wide === true,
      })),
    ),
    ...SCORE.series.map(({ name, of }) => ({
      title: `Tests: ${name}`,
      help: SCORE.help,
      ...laid(
        (log) => log.scores.map((score) => score[of] ?? null),
        true,
        (log) => scoreAxis(log, view.axis),
      ),
      format: percent,
      log: false,
      wide: name === "right",
    })),
  ];
  const charts = useMemo(
    () => [
      ...(reinforced ? reasoning() : []),
      { title: "Loss", ...of(key, true), format: figure, log: view.log && !reinforced, wide: !reinforced },
      ...(views.some((v) => v.log.evals.length > 0)
        ? [{ title: "Held-out loss", ...laid(heldOut, true), format: figure, log: view.log, wide: true }]
        : []),
      ...QUANTITIES.filter((q) => views.some((v) => has(v.log, q.key))).map((q) => ({
        title: q.title,
        help: q.help,
        ...of(q.key, q.noisy),
        format: q.format,
        log: false,
        wide: false,
      })),
    ],
    [version, view, colors],
  );
  return (
    <main class="page">
      <p class="crumbs">
        <a href="/runs">Runs</a> / compare
      </p>
      <h1>{ids.length} runs compared</h1>
      {views.map(
        (v, i) =>
          (v.link === "missing" || v.link === "lost" || v.link === "unreadable") && (
            <p key={ids[i]} class="notice bad" role="alert">
              {ids[i]}: {v.link === "missing" ? "there is no such run." : v.message}
              {v.link === "lost" && " Trying again…"}
            </p>
          ),
      )}
      <div class="table-box">
        <table class="run-table">
          <thead>
            <tr>
              <th>Run</th>
              {[
                "step",
                ...(reinforced ? ["reward", "tests", "length"] : []),
                "loss",
                "held-out",
                "tokens/s",
                "time",
                "cost",
              ].map((name) => (
                <th key={name} class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {views.map((v, i) => (
              <tr key={ids[i]}>
                <td>
                  <i
                    class="swatch"
                    ref={(mark) => void (mark && (mark.style.background = colors[i % colors.length]!))}
                  />
                  <a class="run-name" href={`/runs/${encodeURIComponent(ids[i]!)}`}>
                    {names[i]}
                  </a>
                  <small>{ids[i]}</small>
                </td>
                <td class="number">{(latest(v.log, "step") ?? 0).toLocaleString("en-US")}</td>
                {reinforced && (
                  <>
                    <td class="number">{figure(v.log.policies.at(-1)?.reward)}</td>
                    <td class="number">{percent(v.log.scores.at(-1)?.right ?? NaN)}</td>
                    <td class="number">{figure(v.log.policies.at(-1)?.length)}</td>
                  </>
                )}
                <td class="number">{figure(latest(v.log, key))}</td>
                <td class="number">{figure(v.log.evals.at(-1)?.loss)}</td>
                <td class="number">{short(latest(v.log, "tokensPerSecond") ?? NaN)}</td>
                <td class="number">{duration(latest(v.log, "seconds") ?? NaN)}</td>
                <td class="number">{dollars(latest(v.log, "usd") ?? NaN)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2 class="off-screen">Curves</h2>
      <Controls />
      <div class="charts">
        {charts.map((chart) => (
          <Chart
            key={chart.title}
            {...chart}
            xName={axis.name}
            formatX={axis.format}
            sync="compare"
            height={chart.wide ? 260 : 180}
          />
        ))}
      </div>
      <Card title="What the recipes differ in">
        <Recipe recipes={views.map((v) => v.info?.recipe ?? {})} names={names} />
      </Card>
    </main>
  );
}

/** Names that tell runs apart: the recipe's where it is the only one of its name, else with the run's id. */
export function unique(names: string[], ids: string[]): string[] {
  return names.map((name, i) => (names.filter((other) => other === name).length > 1 ? ids[i]! : name));
}

function followAll(ids: string[]): { view: Store<RunView[]>; stop: () => void } {
  const followed = ids.map(followRun);
  const view = createStore(followed.map((f) => f.view.get()));
  followed.forEach((f) => f.view.subscribe(() => view.set(followed.map((g) => g.view.get()))));
  return { view, stop: () => followed.forEach((f) => f.stop()) };
}
