/** One run, live: facts, tiles, curves, experts, samples; of reinforcement, its answers early against late. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { parametersInWords } from "../../format.ts";
import { useStore } from "../store.ts";
import { flatten } from "../ui/flatten.ts";
import { figure, short } from "../ui/format.ts";
import { dark } from "../ui/theme.ts";
import { Chart } from "./Chart.tsx";
import { Controls, look } from "./Controls.tsx";
import { CURVES } from "./colors.ts";
import { AXES, has, lossCurves, QUANTITIES, quantityCurves, xOf } from "./curves.ts";
import { useFollowed } from "./follow.ts";
import { HeatMap } from "./HeatMap.tsx";
import { followRun, type RunInfo, type Status } from "./live.ts";
import { isReinforced, latest, type RunLog } from "./log.ts";
import { Advice, Notes, Samples } from "./Notes.tsx";
import { ReasonCharts } from "./ReasonCurves.tsx";
import { Recipe } from "./Recipe.tsx";
import { Rollouts, TestAnswers } from "./Rollouts.tsx";
import { StatusPill } from "./RunList.tsx";
import { useStatus } from "./status.ts";
import { Tiles } from "./Tiles.tsx";

/** One run, live. */
export function RunPage({ id }: { id: string }) {
  const { info, log, leftOut, link, message } = useFollowed(() => followRun(id));
  const status = useStatus(id, log);
  useEffect(() => {
    const now = log.policies.at(-1)?.reward ?? latest(log, "loss");
    document.title = `${now === undefined ? "" : `${figure(now)} · `}${info?.recipeName ?? id} – Sumbi`;
  }, [info, log.version]);
  if (!info) {
    return (
      <main class="page">
        <p class="crumbs">
          <a href="/runs">Runs</a>
        </p>
        {link === "missing" ? (
          <div class="empty">
            <h1>There is no run of this name</h1>
            <p>
              <code>{id}</code> may have been deleted, or the server looks into another folder.
            </p>
          </div>
        ) : link === "unreadable" ? (
          <div class="empty">
            <h1>This run cannot be read</h1>
            <p role="alert">{message}</p>
          </div>
        ) : link === "lost" ? (
          <p class="notice bad" role="alert">
            {message} Trying again…
          </p>
        ) : (
          <p class="faint">Reading…</p>
        )}
      </main>
    );
  }
  const reinforced = isReinforced(log);
  return (
    <main class="page">
      <Head info={info} log={log} status={status} link={link} />
      {(link === "lost" || link === "unreadable") && (
        <p class="notice bad" role="alert">
          {message} What you see is as of step {log.steps.at(-1)?.step ?? 0}.{link === "lost" && " Trying again…"}
        </p>
      )}
      {leftOut > 0 && (
        <p class="faint">
          The log is long: {leftOut.toLocaleString("en-US")} of its records are left out here, evenly.
        </p>
      )}
      <Tiles log={log} running={status === "running"} />
      <Advice log={log} />
      <Curves log={log} />
      {reinforced && (
        <>
          <Card
            title="Rollouts, early against late"
            help="Some of the answers that were drawn to learn from, with their rewards"
          >
            <Rollouts id={id} log={log} />
          </Card>
          <Card title="The same test questions, early against late" help="Answered greedily">
            <TestAnswers log={log} />
          </Card>
        </>
      )}
      {(log.loads.length > 0 || (log.steps.length > 0 && !reinforced)) && (
        <Card
          title="Expert load by layer"
          help="How many tokens each expert got against its layer's mean, as a moving average"
        >
          <HeatMap
            loads={log.loads}
            expertLayers={info.expertLayers}
            firstLayer={configNumber(info, "first_k_dense_replace") ?? 0}
            layers={configNumber(info, "num_hidden_layers")}
          />
        </Card>
      )}
      <div class="two">
        <Card title="Events">
          <Notes log={log} />
        </Card>
        {!reinforced && (
          <Card title="Samples" help="What the model writes after a prompt, as it learns">
            <Samples log={log} />
          </Card>
        )}
      </div>
      <div class="two">
        <Card title="Recipe" help="Every number of this run, defaults included">
          <Recipe recipes={[info.recipe]} />
        </Card>
        <Card title="Model and machine">
          <Facts info={info} />
        </Card>
      </div>
    </main>
  );
}

export function Card({ title, help, children }: { title: string; help?: string; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2 title={help}>{title}</h2>
      {children}
    </section>
  );
}

function Facts({ info }: { info: RunInfo }) {
  const { parameters, machine, out, startedAt } = info;
  const rows: [string, string | undefined][] = [
    ["parameters", parameters?.total?.toLocaleString("en-US")],
    ["active per token", parameters?.active?.toLocaleString("en-US")],
    ["in MTP modules", parameters?.mtp ? `+ ${parameters.mtp.toLocaleString("en-US")}` : undefined],
    ["checkpoint", out],
    ["begun", startedAt && new Date(startedAt).toLocaleString()],
    ["measured GEMM peak", machine && `${short(machine.gemmFlopsPerSec)}FLOP/s`],
    ...flatten(machine).filter(([key]) => key !== "gemmFlopsPerSec"),
  ];
  return (
    <table class="recipe">
      <tbody>
        {rows
          .filter(([, value]) => value)
          .map(([key, value]) => (
            <tr key={key}>
              <th scope="row">{key}</th>
              <td>{value}</td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}

/** A number of the model's config within the resolved recipe. */
function configNumber(info: RunInfo, key: string): number | undefined {
  const found = flatten(info.recipe ?? {}).find(([name]) => name === key || name.endsWith(`.${key}`));
  return found && Number.isFinite(Number(found[1])) ? Number(found[1]) : undefined;
}

function Head({ info, log, status, link }: { info: RunInfo; log: RunLog; status: Status | null; link: string }) {
  const step = latest(log, "step") ?? 0;
  const steps = latest(log, "steps") ?? 0;
  const parameters = info.parameters;
  return (
    <header class="run-head">
      <p class="crumbs">
        <a href="/runs">Runs</a> / {info.id}
      </p>
      <div class="row">
        <h1>{info.recipeName ?? info.id}</h1>
        {status && <StatusPill status={status} />}
        {link === "live" && status === "running" && (
          <span class="live" title="New steps show as they are written">
            <i aria-hidden="true" /> live
          </span>
        )}
      </div>
      <p class="faint">
        {parameters?.total && parameters.active
          ? `${parametersInWords({ total: parameters.total, active: parameters.active, mtp: parameters.mtp })} · `
          : ""}
        {info.startedAt ? `begun ${new Date(info.startedAt).toLocaleString()}` : ""}
        {info.out ? (
          <>
            {" "}
            · writes <code>{info.out}</code>
          </>
        ) : null}
      </p>
      <div class="run-progress">
        <progress value={steps > 0 ? step / steps : 0} max={1} aria-label="Progress" />
        <span>
          step <b>{step.toLocaleString("en-US")}</b> of {steps.toLocaleString("en-US")}
        </span>
      </div>
    </header>
  );
}

function Curves({ log }: { log: RunLog }) {
  const view = useStore(look);
  const colors = useStore(dark) ? CURVES.dark : CURVES.light;
  const axis = AXES.find((a) => a.axis === view.axis)!;
  const x = useMemo(() => xOf(log.steps, view.axis), [log.version, view.axis]);
  const loss = useMemo(() => lossCurves(log, view.smoothing, colors), [log.version, view.smoothing, colors]);
  const shown = QUANTITIES.filter((quantity) => has(log, quantity.key));
  const rest = useMemo(
    () => shown.map((quantity, i) => quantityCurves(log, quantity, view.smoothing, colors[(i + 2) % colors.length]!)),
    [log.version, view.smoothing, colors, shown.length],
  );
  if (log.steps.length === 0) return <p class="faint">The first step is not finished yet.</p>;
  const reinforced = isReinforced(log);
  return (
    <section aria-labelledby="curves">
      <h2 id="curves" class="off-screen">
        Curves
      </h2>
      <Controls />
      <div class="charts">
        {reinforced && <ReasonCharts log={log} />}
        <Chart
          title="Loss"
          help={
            reinforced
              ? "What the step's gradient is of: near 0, and no measure of learning"
              : "Cross entropy in nats per token"
          }
          x={x}
          xName={axis.name}
          formatX={axis.format}
          curves={loss}
          log={view.log && !reinforced}
          height={reinforced ? 170 : 280}
          wide={!reinforced}
        />
        {shown.map((quantity, i) => (
          <Chart
            key={quantity.key}
            title={quantity.title}
            help={quantity.help}
            x={x}
            xName={axis.name}
            formatX={axis.format}
            format={quantity.format}
            curves={rest[i]!}
            height={170}
          />
        ))}
      </div>
      <p class="faint small">Drag over a chart to zoom in, double-click to zoom out.</p>
    </section>
  );
}
