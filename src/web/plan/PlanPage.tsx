/** The planner's page: controls, the answer as it comes, exports. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { go, route } from "../router.ts";
import { useStore } from "../store.ts";
import { save } from "../ui/download.ts";
import { CopyButton } from "../ui/parts.tsx";
import { AnswerView } from "./AnswerView.tsx";
import { Controls, slim } from "./Controls.tsx";
import { Planner } from "./client.ts";
import { fileStem, toCsv } from "./download.ts";
import { type Fault, type Form, fromQuery, read, toQuery } from "./form.ts";
import { count, days, money } from "./format.ts";
import type { Answer, Catalogue, Drawn, Point, Reply, Undrawn } from "./messages.ts";
import { planPath } from "./paths.ts";
import { picture } from "./picture.ts";

const WAIT_MS = 300;

/** A question's controls beside its answer. The address always holds the question, so that it can be sent to others. */
export function PlanPage() {
  const path = useStore(route);
  const query = new URL(path, location.origin).search;
  const [form, setForm] = useState<Form>(() => fromQuery(query));
  const written = useRef(query);
  const [catalogue, setCatalogue] = useState<Catalogue | null>(null);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [timeline, setTimeline] = useState<Drawn | Undrawn | null>(null);
  const [points, setPoints] = useState<{ points: Point[]; left: number }>({ points: [], left: 0 });
  const [planned, setPlanned] = useState<Fault[]>([]);
  const typed = useMemo(() => read(form).faults, [form]);
  const faults = typed.length > 0 ? typed : planned;

  const receive = (reply: Reply) => {
    if (reply.kind === "catalogue") setCatalogue(reply.catalogue);
    else if (reply.kind === "answer") {
      setAnswer(reply.answer);
      setPlanned([]);
      setPoints({ points: [], left: 1 });
    } else if (reply.kind === "timeline") setTimeline(reply.drawn);
    else if (reply.kind === "points")
      setPoints((old) => ({ points: [...old.points, ...reply.points], left: reply.left }));
    else if (reply.kind === "faults") {
      setPlanned(reply.faults);
      setPoints((old) => ({ ...old, left: 0 }));
    }
  };
  const handler = useRef(receive);
  handler.current = receive;
  // The tables come from a thread of their own, so that a question being changed never cuts them off.
  const planner = useMemo(() => new Planner((reply) => handler.current(reply)), []);
  const tables = useMemo(() => new Planner((reply) => handler.current(reply)), []);
  const busy = useStore(planner.busy);
  useEffect(() => {
    tables.ask({ kind: "catalogue" });
    return () => {
      planner.stop();
      tables.stop();
    };
  }, []);
  useEffect(() => {
    if (catalogue) tables.stop();
  }, [catalogue]);

  // Another address (back, forward, a link): its question takes the form's place.
  useEffect(() => {
    if (query === written.current) return;
    written.current = query;
    setForm(fromQuery(query));
  }, [query]);

  const first = useRef(true);
  useEffect(() => {
    const ask = () => {
      const next = toQuery(form);
      if (next !== written.current) {
        written.current = next;
        go(planPath(next), true);
      }
      if (typed.length > 0) planner.stop();
      else planner.ask({ kind: "plan", form });
    };
    if (first.current) {
      first.current = false;
      ask();
      return;
    }
    const timer = setTimeout(ask, WAIT_MS);
    return () => clearTimeout(timer);
  }, [form]);

  useEffect(() => {
    document.title = answer
      ? `${answer.result.model} on ${answer.result.gpus.toLocaleString("en-US")} ${answer.chip.name} – Sumbi`
      : "Plan – Sumbi";
  }, [answer]);

  const change = (part: Partial<Form>) => setForm((old) => ({ ...old, ...part }));

  const [dropping, setDropping] = useState(false);
  useEffect(() => {
    const hasFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const over = (event: DragEvent) => {
      if (!hasFile(event)) return;
      event.preventDefault();
      setDropping(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setDropping(false);
    };
    const drop = (event: DragEvent) => {
      if (!hasFile(event)) return;
      event.preventDefault();
      setDropping(false);
      void event.dataTransfer!.files[0]?.text().then((text) => {
        try {
          change({ config: slim(text), sequence: "", batch: "" });
        } catch (error) {
          setPlanned([{ field: "config", message: `The dropped file is not JSON: ${(error as Error).message}` }]);
        }
      });
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);

  const currency = catalogue?.currencies.find((c) => c.id === (answer ?? { form }).form.currency) ?? {
    id: "USD",
    perUsd: 1,
  };
  const stale = typed.length > 0 || planned.length > 0;
  const loose = faults.filter((fault) => fault.field === "" || !shownField(form, fault));
  const view = useRef<HTMLDivElement>(null);

  return (
    <main class={`page plan-page ${dropping ? "dropping" : ""}`}>
      <h1 class="off-screen">Plan: what a model costs to train</h1>
      <aside class="asking">
        <Controls form={form} faults={faults} catalogue={catalogue} onChange={change} />
        <div class="asking-foot">
          <span class="row">
            <CopyButton text={() => location.origin + planPath(toQuery(form))} label="Copy a link to this question" />
            <button type="button" class="link small" onClick={() => setForm(fromQuery(""))}>
              Start over
            </button>
          </span>
        </div>
      </aside>
      <div class={`answer-side ${stale ? "stale" : ""}`} aria-busy={busy} ref={view}>
        <div class={`working ${busy ? "on" : ""}`} aria-hidden="true" />
        {faults.length > 0 && (
          <div class="notice bad explained" role="alert">
            <div>
              <b>{typed.length > 0 ? "The question is not complete." : "This cannot be done as asked."}</b>
              {(loose.length > 0 ? loose : faults).map((fault) => (
                <p key={fault.message}>{fault.message}</p>
              ))}
              {answer && <p class="faint">What you see below answers the question before.</p>}
            </div>
          </div>
        )}
        {answer ? (
          <AnswerView
            answer={answer}
            timeline={timeline}
            points={points.points}
            left={busy ? points.left : 0}
            currency={currency}
            onChange={change}
          >
            <div class="row exports">
              <button
                type="button"
                class="quiet small"
                onClick={() => save(`${fileStem(answer)}.csv`, toCsv(answer, points.points), "text/csv")}
              >
                CSV
              </button>
              <button
                type="button"
                class="quiet small"
                onClick={() =>
                  save(
                    `${fileStem(answer)}.json`,
                    JSON.stringify({ question: answer.form, answer: answer.result, points: points.points }, null, 2),
                    "application/json",
                  )
                }
              >
                JSON
              </button>
              <button
                type="button"
                class="quiet small"
                onClick={() =>
                  void picture(
                    view.current!,
                    headline(answer),
                    [summary(answer, currency)],
                    `Sumbi · ${location.origin}${planPath(toQuery(form))}`.slice(0, 150),
                  ).then((blob) => save(`${fileStem(answer)}.png`, blob))
                }
              >
                PNG
              </button>
              {timeline && "trace" in timeline && (
                <button
                  type="button"
                  class="quiet small"
                  title="Opens in Perfetto (ui.perfetto.dev) and in chrome://tracing"
                  onClick={() => save(`${fileStem(answer)}.trace.json`, timeline.trace, "application/json")}
                >
                  Trace
                </button>
              )}
            </div>
          </AnswerView>
        ) : (
          faults.length === 0 && <Waiting />
        )}
      </div>
    </main>
  );
}

/** Whether a fault's own control is on show; those of hidden controls are told above the answer. */
function shownField(form: Form, fault: Fault): boolean {
  if (fault.field === "gpus" || fault.field === "budget" || fault.field === "days") return form.goal === fault.field;
  return true;
}

const headline = ({ result, chip }: Answer) =>
  `${result.model}: ${count(result.tokens)} tokens on ${result.gpus.toLocaleString("en-US")} ${chip.name}`;

const summary = ({ result }: Answer, currency: { id: string; perUsd: number }) =>
  `${count(result.gpuHours)} GPU-hours (80 %: ${count(result.p10.gpuHours, 3)} to ${count(result.p90.gpuHours, 3)}) · ${days(result.days)} · ${money(result.usd, currency)} (${money(result.p10.usd, currency, 3)} to ${money(result.p90.usd, currency, 3)})`;

/** Holds the answer's place until it is there. */
function Waiting() {
  return (
    <div class="waiting" role="status">
      <div class="headline">
        <p class="faint">Searching layouts…</p>
      </div>
      <div class="ghost tall" />
      <div class="ghost" />
      <div class="ghost" />
    </div>
  );
}
