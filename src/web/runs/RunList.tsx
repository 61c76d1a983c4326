/** The list of runs, live. */
import { useEffect, useState } from "preact/hooks";
import { getJson } from "../net/api.ts";
import { go } from "../router.ts";
import { ago, duration, figure, percent, short } from "../ui/format.ts";
import { CopyButton } from "../ui/parts.tsx";
import { useFollowed } from "./follow.ts";
import { followList, type RunSummary, type Status } from "./live.ts";
import { addRecords, emptyLog } from "./log.ts";
import { Sparkline } from "./Sparkline.tsx";

const MEANING: Record<Status, string> = {
  running: "Training now",
  done: "Reached its last step",
  stopped: "Stopped by its owner; can be resumed",
  failed: "Ended with an error",
  stale: "No longer running, and did not say why: killed, or the machine went off. Can be resumed",
  unreadable: "A file of this run is damaged or cannot be opened",
};

export function StatusPill({ status }: { status: Status }) {
  return (
    <span class={`pill ${status}`} title={MEANING[status]}>
      {status}
    </span>
  );
}

/** All runs, newest first; two or more can be picked and laid over each other. */
export function RunList() {
  const { runs, message } = useFollowed(followList);
  const [picked, setPicked] = useState<string[]>([]);
  const [find, setFind] = useState("");
  useEffect(() => {
    document.title = "Runs – Sumbi";
  }, []);
  const toggle = (id: string) =>
    setPicked((old) => (old.includes(id) ? old.filter((x) => x !== id) : [...old, id].slice(-6)));
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  const shown =
    runs?.filter((run) =>
      words.every((word) => `${run.id} ${run.recipeName} ${run.status}`.toLowerCase().includes(word)),
    ) ?? [];
  return (
    <main class="page">
      <div class="page-head">
        <h1>Runs</h1>
        <div class="row">
          {runs && runs.length > 3 && (
            <input
              type="search"
              aria-label="Find runs by name or status"
              placeholder="Find"
              value={find}
              onInput={(event) => setFind(event.currentTarget.value)}
            />
          )}
          {runs && runs.length > 1 && (
            <button
              type="button"
              class="primary"
              disabled={picked.length < 2}
              title="Pick two to six runs"
              onClick={() => go(`/runs?compare=${picked.map(encodeURIComponent).join(",")}`)}
            >
              Compare{picked.length > 0 ? ` ${picked.length}` : ""}
            </button>
          )}
        </div>
      </div>
      {message && (
        <p class="notice bad" role="alert">
          {message} Trying again…
        </p>
      )}
      {runs?.length === 0 && <Invitation />}
      {!runs && !message && <p class="faint">Reading…</p>}
      {shown.length > 0 && (
        <div class="table-box">
          <table class="run-table run-list">
            <thead>
              <tr>
                <th>
                  <span class="off-screen">Compare</span>
                </th>
                <th>Run</th>
                <th>Status</th>
                <th>Progress</th>
                <th>Loss or reward</th>
                <th class="number">now</th>
                <th class="number">held-out</th>
                <th class="number">tokens/s</th>
                <th class="number">left</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((run) => (
                <Row key={run.id} run={run} picked={picked.includes(run.id)} onPick={() => toggle(run.id)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {runs && runs.length > 0 && shown.length === 0 && <p class="faint">No run has all these words.</p>}
    </main>
  );
}

/** What to begin with, quickest first. */
const BEGINNINGS: { command: string; what: string }[] = [
  { command: "npx sumbi train tiny", what: "A small model in about a minute, to see what this page shows." },
  { command: "npx sumbi train text --data my-notes/", what: "A model of your own texts: .txt, .md, .jsonl, folders." },
  {
    command: "npx sumbi reason zero --model base --task parity-16 --set steps=20 maxTokens=32 learningRate=3e-4",
    what: "A model that finds out by itself that thinking pays, told nothing but right or wrong.",
  },
];

/** The page before the first run. */
function Invitation() {
  return (
    <section class="invitation" aria-labelledby="begin">
      <h2 id="begin">Nothing has been trained here yet</h2>
      <p>Begin one in a terminal beside this page. It appears here with its first step, and you watch it learn.</p>
      <ul>
        {BEGINNINGS.map(({ command, what }) => (
          <li key={command}>
            <p>{what}</p>
            <code>{command}</code>
            <CopyButton text={() => command} label={`Copy “${command}”`} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Row({ run, picked, onPick }: { run: RunSummary; picked: boolean; onPick: () => void }) {
  const share = run.steps > 0 ? Math.min(1, run.step / run.steps) : 0;
  return (
    <tr class={picked ? "picked" : ""}>
      <td>
        <input type="checkbox" aria-label={`Compare ${run.id}`} checked={picked} onChange={onPick} />
      </td>
      <td>
        <a class="run-name" href={`/runs/${encodeURIComponent(run.id)}`}>
          {run.recipeName || run.id}
        </a>
        <small>
          {run.problem ?? `${run.id} · ${ago(Date.parse(run.startedAt))}`}
          {run.skippedLines > 0 && ` · ${run.skippedLines.toLocaleString("en-US")} lines of its log cannot be read`}
        </small>
      </td>
      <td>
        <StatusPill status={run.status} />
      </td>
      <td>
        <progress value={share} max={1} aria-label={`${Math.round(share * 100)} % of ${run.steps} steps`} />
        <small>
          {run.step.toLocaleString("en-US")} / {run.steps.toLocaleString("en-US")}
        </small>
      </td>
      <td>
        <Shape run={run} />
      </td>
      <td class="number" data-name={run.reward === null ? "loss" : "reward"}>
        {figure(run.reward ?? run.loss)}
      </td>
      <td class="number" data-name={run.score === null ? "held-out" : "tests"}>
        {run.score === null ? figure(run.evalLoss) : percent(run.score)}
      </td>
      <td class="number" data-name="tokens/s">
        {run.tokensPerSecond == null ? "–" : short(run.tokensPerSecond)}
      </td>
      <td class="number" data-name="left">
        {run.status === "running" && run.etaSeconds != null ? duration(run.etaSeconds) : "–"}
      </td>
    </tr>
  );
}

const shapes = new Map<string, { at: number; step: number; values: number[] }>();

/** The run's loss so far, or its reward. Fetched when the row comes into view and, while it runs, at most once a minute; then extended. */
function Shape({ run }: { run: RunSummary }) {
  const [seen, setSeen] = useState(false);
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!seen || run.step < 2) return;
    const known = shapes.get(run.id);
    const now = run.reward ?? run.loss;
    if (known && now !== null && run.step > known.step) {
      known.values.push(now);
      known.step = run.step;
      redraw((n) => n + 1);
    }
    if (known && Date.now() - known.at < 60_000) return;
    if (known && run.status !== "running" && known.step >= run.step) return;
    shapes.set(run.id, { at: Date.now(), step: run.step, values: known?.values ?? [] });
    getJson<{ log: unknown[] }>(`/api/runs/${encodeURIComponent(run.id)}`).then(
      ({ log }) => {
        const { steps, policies } = addRecords(emptyLog(), log);
        const values = policies.length > 0 ? policies.map((p) => p.reward) : steps.map((s) => s.loss);
        shapes.set(run.id, { at: Date.now(), step: run.step, values });
        redraw((n) => n + 1);
      },
      () => shapes.delete(run.id),
    );
  }, [seen, run.id, run.step]);
  const watch = (element: HTMLElement | null) => {
    if (!element || seen) return;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      setSeen(true);
    });
    observer.observe(element);
  };
  return (
    <span ref={watch} class="loss-shape">
      <Sparkline values={shapes.get(run.id)?.values ?? []} name={run.reward === null ? "Loss" : "Reward"} />
    </span>
  );
}
