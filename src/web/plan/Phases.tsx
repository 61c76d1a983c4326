/** Every phase of a published model, asked for by hand. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { PhasesResult } from "../../plan/index.ts";
import { useStore } from "../store.ts";
import { Planner } from "./client.ts";
import { Figure } from "./figures/Figure.tsx";
import { Stack } from "./figures/Stack.tsx";
import { count, days, type Money, money } from "./format.ts";
import type { Answer } from "./messages.ts";
import { SourceList } from "./Sources.tsx";

/** Every phase of a published model, from pretraining to reinforcement learning. Asked for by hand, as each phase is a search of its own. */
export function Phases({ answer, currency }: { answer: Answer; currency: Money }) {
  const [result, setResult] = useState<PhasesResult | null>(null);
  const [at, setAt] = useState("");
  const [fault, setFault] = useState("");
  const planner = useMemo(
    () =>
      new Planner((reply) => {
        if (reply.kind === "phases") setResult(reply.phases);
        else if (reply.kind === "progress") setAt(`${reply.note} (${reply.done + 1} of ${reply.total})`);
        else if (reply.kind === "faults") setFault(reply.faults.map((f) => f.message).join("\n"));
      }),
    [],
  );
  const busy = useStore(planner.busy);
  useEffect(() => {
    setResult(null);
    setFault("");
    planner.stop();
  }, [answer]);
  useEffect(() => () => planner.stop(), []);
  const cash = (usd: number) => money(usd, currency, 3);
  return (
    <Figure
      id="phases"
      title="Every phase"
      help="As its makers published them, on this question's chips"
      aside={
        result && (
          <span class="faint small">{`${count(result.gpuHours)} GPU-hours, ${cash(result.usd)} (${cash(result.p10.usd)} to ${cash(result.p90.usd)})`}</span>
        )
      }
    >
      {result ? (
        <>
          <Stack
            label="GPU-hours by phase"
            parts={result.phases.map((phase, i) => ({ name: phase.name, value: phase.gpuHours, color: i }))}
            format={(hours) => `${count(hours, 3)} h`}
          />
          <ul class="checks phases">
            {result.phases.map((phase) => (
              <li key={phase.name}>
                <h3>
                  {phase.name}{" "}
                  <span class="faint">
                    {count(phase.gpuHours, 3)} GPU-hours · {days(phase.days)} · {cash(phase.usd)}
                  </span>
                </h3>
                <p>{phase.says}</p>
              </li>
            ))}
          </ul>
          <p class="faint small">{result.restsOn}</p>
          <details class="law">
            <summary>Sources of the phases</summary>
            <SourceList sources={result.sources} />
          </details>
        </>
      ) : (
        <div class="row">
          <button
            type="button"
            class="quiet"
            disabled={busy}
            onClick={() => {
              setFault("");
              setAt("");
              planner.ask({ kind: "phases", form: answer.form, gpus: answer.result.gpus });
            }}
          >
            Work out every phase
          </button>
          <span class="faint small" role="status">
            {busy
              ? `Working on ${at || "the first"}…`
              : "Context extension, fine-tuning, reinforcement learning: each is searched on its own, which may take a minute."}
          </span>
          {fault && (
            <p class="fault" role="alert">
              {fault}
            </p>
          )}
        </div>
      )}
    </Figure>
  );
}
