/** One run, live: facts, tiles, curves, experts, samples. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { parametersInWords } from "../../format.ts";
import { useStore } from "../store.ts";
import { flatten } from "../ui/flatten.ts";
import { dollars, duration, energy, figure, percent, short } from "../ui/format.ts";
import { dark } from "../ui/theme.ts";
import { Chart } from "./Chart.tsx";
import { Controls, look } from "./Controls.tsx";
import { CURVES } from "./colors.ts";
import { AXES, has, lossCurves, QUANTITIES, quantityCurves, xOf } from "./curves.ts";
import { useFollowed } from "./follow.ts";
import { HeatMap } from "./HeatMap.tsx";
import { followRun, type RunInfo, type Status } from "./live.ts";
import { latest, type RunLog } from "./log.ts";
import { Notes, Samples } from "./Notes.tsx";
import { Recipe } from "./Recipe.tsx";
import { StatusPill } from "./RunList.tsx";
import { useStatus } from "./status.ts";

/** One run, live. */
export function RunPage({ id }: { id: string }) {
  const { info, log, leftOut, link, message } = useFollowed(() => followRun(id));
  const status = useStatus(id, log);
  useEffect(() => {
    const loss = latest(log, "loss");
    document.title = `${loss === undefined ? "" : `${figure(loss)} · `}${info?.recipeName ?? id} – Sumbi`;
  }, [info, log.version]);
  if (!info) {
    return (
      <main class="page">
        <p class="crumbs">
          <a href="/runs">Runs</a>
        </p>
        {link === "missing" ? (
          <div class="empty">
            <h2>There is no run of this name</h2>
            <p>
              <code>{id}</code> may have been deleted, or the server looks into another folder.
            </p>
          </div>
        ) : link === "unreadable" ? (
          <div class="empty">
            <h2>This run cannot be read</h2>
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
      <Tiles log={log} status={status} />
      <Curves log={log} />
      {(log.loads.length > 0 || log.steps.length > 0) && (
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
        <Card title="Samples" help="What the model writes after a prompt, as it learns">
          <Samples log={log} />
        </Card>
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

function Tiles({ log, status }: { log: RunLog; status: Status | null }) {
  const evalLoss = log.evals.at(-1)?.loss;
  const best = log.evals.length > 0 ? Math.min(...log.evals.map((e) => e.loss)) : undefined;
  const busiest = log.loads.at(-1)?.busiest;
  const running = status === "running";
  const seconds = latest(log, "seconds");
  const tiles: { name: string; value: string; note?: string; help?: string; bad?: boolean }[] = [
    {
      name: "Loss",
      value: figure(latest(log, "mainLoss") ?? latest(log, "loss")),
      note: has(log, "mtpLoss") ? `${figure(latest(log, "loss"))} with MTP` : "nats per token",
      help: "Cross entropy of the next token, in nats",
    },
    {
      name: "Held-out loss",
      value: figure(evalLoss),
      note: best === undefined ? "not measured yet" : `best ${figure(best)}`,
    },
    running
      ? {
          name: "Left",
          value: duration(latest(log, "etaSeconds") ?? NaN),
          note: seconds === undefined ? undefined : `${duration(seconds)} so far`,
        }
      : { name: "Took", value: duration(seconds ?? NaN) },
    {
      name: "Tokens per second",
      value: short(latest(log, "tokensPerSecond") ?? NaN),
      note: `${short(latest(log, "tokens") ?? NaN)} tokens seen`,
    },
    {
      name: "Share of GEMM peak",
      value: percent(latest(log, "gemmShare") ?? NaN),
      note: latest(log, "flopsPerSecond") === undefined ? undefined : `${short(latest(log, "flopsPerSecond")!)}FLOP/s`,
      help: "Useful arithmetic against what this machine's matrix product reached when measured",
    },
    {
      name: "Cost so far",
      value: dollars(latest(log, "usd") ?? NaN),
      help: "At the recipe's price per hour and per kWh",
    },
    { name: "Energy so far", value: energy(latest(log, "joules") ?? NaN), help: "At the recipe's watts" },
  ];
  if (busiest !== undefined) {
    tiles.push({
      name: "Busiest expert",
      value: `${busiest.toFixed(2)}×`,
      note: "of its layer's mean",
      bad: busiest > 1.5,
      help: "Balanced runs stay under 1.5×",
    });
  }
  return (
    <dl class="tiles">
      {tiles.map((tile) => (
        <div key={tile.name} class={tile.bad ? "bad" : ""} title={tile.help}>
          <dt>{tile.name}</dt>
          <dd>{tile.value}</dd>
          {tile.note && <dd class="note">{tile.note}</dd>}
        </div>
      ))}
    </dl>
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
  return (
    <section aria-label="Curves">
      <Controls />
      <div class="charts">
        <Chart
          title="Loss"
          help="Cross entropy in nats per token"
          x={x}
          xName={axis.name}
          formatX={axis.format}
          curves={loss}
          log={view.log}
          height={280}
          wide
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
