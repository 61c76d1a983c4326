/** The planner's answer: hours, money, memory, law, drawings. */
import type { ComponentChildren } from "preact";
import type { StepEstimate } from "../../plan/index.ts";
import { Bands } from "./figures/Band.tsx";
import { Figure } from "./figures/Figure.tsx";
import { frontier, Scatter } from "./figures/Scatter.tsx";
import { Stack } from "./figures/Stack.tsx";
import { Timeline } from "./figures/Timeline.tsx";
import type { Form } from "./form.ts";
import { count, days, gigabytes, layoutText, type Money, money, reasonText, seconds } from "./format.ts";
import type { Answer, Drawn, Point, Undrawn } from "./messages.ts";
import { Phases } from "./Phases.tsx";
import { SourceList, Sources } from "./Sources.tsx";

const PARTS: { key: keyof StepEstimate["parts"]; name: string; help: string }[] = [
  { key: "compute", name: "products, attention", help: "Matrix products and attention, on the critical path" },
  {
    key: "memoryBound",
    name: "memory-bound",
    help: "Norms, activations, casts, permutations: bound by memory bandwidth",
  },
  { key: "tp", name: "tensor parallel", help: "Tensor parallel communication that nothing hides" },
  { key: "ep", name: "expert parallel", help: "All-to-all of the experts that nothing hides" },
  { key: "cp", name: "context parallel", help: "Context parallel communication that nothing hides" },
  { key: "pp", name: "pipeline sends", help: "Between pipeline stages, as far as nothing hides it" },
  { key: "dp", name: "data parallel", help: "Gradients and weights among the copies, as far as nothing hides it" },
  { key: "bubble", name: "bubble", help: "Waiting for other pipeline stages" },
  { key: "optimizer", name: "optimizer", help: "The optimizer's update" },
  { key: "overhead", name: "overhead", help: "Launches, stragglers, what no other part names" },
];

const MEMORY = [
  ["weights", "weights", "Copies the products read"],
  ["gradients", "gradients", "Of this GPU's share"],
  ["optimizer", "optimizer", "Master copies and moments"],
  ["activations", "activations", "Kept from forward to backward, at the fullest rank"],
  ["buffers", "buffers", "Communication, logits, workspace, the allocator's slack"],
] as const;

interface Props {
  answer: Answer;
  timeline: Drawn | Undrawn | null;
  points: Point[];
  /** How many plans for the plot are still being worked out. */
  left: number;
  currency: Money;
  onChange: (change: Partial<Form>) => void;
  children: ComponentChildren;
}

/** The answer first, then what it is made of. */
export function AnswerView({ answer, timeline, points, left, currency, onChange, children }: Props) {
  const { result, chip } = answer;
  const cash = (usd: number, figures?: number) => money(usd, currency, figures);
  // Drawings are given sums in the reader's currency, so that their axes have round numbers.
  const own = (usd: number) => usd * currency.perUsd;
  const ownCash = (sum: number) => cash(sum / currency.perUsd, 3);
  const here = points.find((p) => p.kind === "here") ?? null;
  return (
    <>
      <header class="headline">
        <div class="row between">
          <p>
            <b>{result.model}</b>, {count(result.tokens)} tokens on <b>{result.gpus.toLocaleString("en-US")}</b>{" "}
            {chip.name} <Sources of={chip.name} sources={chip.sources} note={chip.notes} />
          </p>
          {children}
        </div>
        <dl class="tiles answer-tiles">
          <Tile
            name="GPU-hours"
            value={count(result.gpuHours)}
            band={[count(result.p10.gpuHours, 3), count(result.p90.gpuHours, 3)]}
          />
          <Tile name="Wall time" value={days(result.days)} band={[days(result.p10.days), days(result.p90.days)]} />
          <Tile
            name="Final run"
            value={cash(result.usd)}
            band={[cash(result.p10.usd, 3), cash(result.p90.usd, 3)]}
            extra={
              <Sources
                of="the price"
                sources={answer.price.sources}
                note={`${cash(answer.price.usdPerGpuHour, 3)} per GPU-hour: ${answer.price.says}`}
              />
            }
          />
          <Tile
            name="Step"
            value={seconds(result.stepSeconds)}
            note={`${result.steps.toLocaleString("en-US")} steps`}
          />
        </dl>
        {result.bestSteady && (
          <p class="small">
            As runs went: {(result.goodput * 100).toFixed(0)} % of the best steady state, {result.goodputIs}. The best
            steady state itself: {count(result.bestSteady.gpuHours)} GPU-hours (
            {count(result.bestSteady.p10.gpuHours, 3)} – {count(result.bestSteady.p90.gpuHours, 3)}),{" "}
            {days(result.bestSteady.days)}, {cash(result.bestSteady.usd)}.
          </p>
        )}
        <p class="faint small">{result.restsOn}</p>
        <p class="small layout-line">
          <b>{layoutText(result.layout)}</b> · {result.schedule} · {result.precision.toUpperCase()} ·{" "}
          {result.tokensPerSecondPerGpu.toFixed(0)} tokens/s per GPU · MFU {(result.mfu * 100).toFixed(1)} % ·{" "}
          {Number((result.flopsPerToken / 1e9).toPrecision(4)).toLocaleString("en-US")} GFLOP per token
        </p>
        {result.warnings.length > 0 && (
          <ul class="notice warnings">
            {result.warnings.map((warning) => (
              <li key={warning}>{warning.replace(/ \(--[\w-]+\)/g, "")}</li>
            ))}
          </ul>
        )}
        {answer.law && <LawLine law={answer.law} />}
      </header>

      <Figure
        id="memory"
        title="Memory of the fullest GPU"
        aside={
          <span class="faint small">
            {gigabytes(result.memoryBytes.total)} of {gigabytes(chip.hbmBytes)}
          </span>
        }
      >
        <Stack
          label="Memory of the fullest GPU"
          parts={MEMORY.map(([key, name, help], i) => ({ name, value: result.memoryBytes[key], help, color: i }))}
          format={gigabytes}
          limit={{ value: chip.hbmBytes, name: `${gigabytes(chip.hbmBytes)} HBM` }}
        />
      </Figure>

      <Figure
        id="step"
        title="One step, taken apart"
        aside={<span class="faint small">{seconds(result.stepSeconds)}</span>}
      >
        <Stack
          label="One step"
          parts={PARTS.map(({ key, name, help }, i) => ({ name, value: result.parts[key], help, color: i }))}
          format={seconds}
        />
      </Figure>

      <Figure id="pipeline" title="Pipeline" help="One step as the schedule's simulation plays it">
        {timeline && "timeline" in timeline ? (
          <Timeline result={timeline.timeline} />
        ) : (
          <p class="faint ghost-note">
            {timeline ? timeline.why : result.layout.pp > 1 ? "Drawing the schedule…" : "This layout has no pipeline."}
          </p>
        )}
      </Figure>

      <Figure
        id="cost"
        title="What it costs"
        help="The final run is what is usually quoted; the programme is what it takes to get there"
      >
        {answer.money.length > 0 && (
          <>
            <Bands
              label="Cost"
              rows={answer.money.map((line) => ({
                name: line.name,
                p10: own(line.p10 ?? line.usd),
                p50: own(line.usd),
                p90: own(line.p90 ?? line.usd),
              }))}
              format={ownCash}
            />
            {answer.money.map((line) => (
              <div key={line.name} class="money-line">
                <h3>
                  {line.name} <b>{cash(line.usd)}</b> {line.note && <span class="faint">{line.note}</span>}{" "}
                  <Sources of={line.name} sources={line.sources} />
                </h3>
                {line.parts.length > 1 && (
                  <Stack
                    label={line.name}
                    parts={line.parts.map((part, i) => ({
                      name: part.name,
                      value: own(part.usd),
                      help: part.help,
                      color: i,
                    }))}
                    format={ownCash}
                  />
                )}
              </div>
            ))}
          </>
        )}
        {answer.facts.length > 0 && (
          <dl class="facts">
            {answer.facts.map((fact) => (
              <div key={fact.name}>
                <dt>
                  {fact.name} <Sources of={fact.name} sources={fact.sources} />
                </dt>
                <dd>{fact.value}</dd>
              </div>
            ))}
          </dl>
        )}
      </Figure>

      <Figure
        id="search"
        title="Cost against time"
        help="This question's layouts, the best plan on other numbers of the chip, and on other chips"
        aside={
          <span class="faint small searching">
            {left > 0
              ? `${left} more to work out…`
              : `${points.length} plans, ${frontier(points).length} on the frontier`}
          </span>
        }
      >
        <Scatter
          points={points}
          now={here}
          formatX={days}
          perUsd={currency.perUsd}
          formatY={(usd) => cash(usd, 3)}
          onPick={(point) => {
            if (point.kind === "gpus") onChange({ goal: "gpus", gpus: String(point.gpus) });
            if (point.kind === "chips")
              onChange({ goal: "gpus", gpus: String(point.gpus), chip: point.chip, mychip: "" });
          }}
        />
      </Figure>

      {answer.phased && <Phases answer={answer} currency={currency} />}

      <section class="card">
        <h2>Other layouts, and why they lose</h2>
        <div class="table-box" tabIndex={0} role="region" aria-label="Other layouts">
          <table class="run-table runners">
            <thead>
              <tr>
                <th scope="col">Layout</th>
                <th scope="col">Schedule</th>
                <th scope="col" class="number">
                  Step
                </th>
                <th scope="col" class="number">
                  Slower
                </th>
                <th scope="col" class="number">
                  Memory
                </th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              <tr class="picked">
                <td>{layoutText(result.layout)}</td>
                <td>{result.schedule}</td>
                <td class="number" data-name="step">
                  {seconds(result.stepSeconds)}
                </td>
                <td class="number" data-name="slower">
                  –
                </td>
                <td class="number" data-name="memory">
                  {gigabytes(result.memoryBytes.total)}
                </td>
                <td>the fastest that fits</td>
              </tr>
              {result.runnersUp.map((runner) => (
                <tr
                  key={JSON.stringify([runner.step.layout, runner.step.schedule])}
                  class={runner.step.fits ? "" : "unfit"}
                >
                  <td>{layoutText(runner.step.layout)}</td>
                  <td>{runner.step.schedule}</td>
                  <td class="number" data-name="step">
                    {seconds(runner.step.stepSeconds)}
                  </td>
                  <td class="number" data-name="slower">
                    {runner.step.fits ? `${(runner.slower * 100).toFixed(1)} %` : "does not fit"}
                  </td>
                  <td class="number" data-name="memory">
                    {gigabytes(runner.step.memoryBytes.total)}
                  </td>
                  <td>{reasonText(runner)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>

      <section class="card">
        <h2>Sources</h2>
        <SourceList sources={[...result.sources, ...chip.sources, ...answer.price.sources]} />
      </section>
      <p class="faint small">Worked out in this browser in {seconds(answer.seconds)}; nothing was sent anywhere.</p>
    </>
  );
}

function Tile({
  name,
  value,
  band,
  note,
  extra,
}: {
  name: string;
  value: string;
  band?: [string, string];
  note?: string;
  extra?: ComponentChildren;
}) {
  return (
    <div>
      <dt>
        {name} {extra}
      </dt>
      <dd>{value}</dd>
      <dd class="note">
        {band ? (
          <span>
            80 %: {band[0]} – {band[1]}
          </span>
        ) : (
          note
        )}
      </dd>
    </div>
  );
}

function LawLine({ law }: { law: NonNullable<Answer["law"]> }) {
  return (
    <details class="law">
      <summary>
        <span class={`pill ${law.lawful === null ? "stale" : law.lawful ? "done" : "failed"}`}>{law.verdict}</span>{" "}
        {law.title}
      </summary>
      <dl>
        {law.lines.map((line) => (
          <div key={line.name + line.text}>
            <dt>{line.name}</dt>
            <dd>
              {line.text} <Sources of={line.name} sources={line.sources} />
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
