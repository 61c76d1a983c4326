/** Runs followed over the network: streams of records, begun again where they broke off. */
import type { RunInfo, RunStatus, RunSummary } from "../../runs/index.ts";
import { Fault, getJson, send } from "../net/api.ts";
import { readSse } from "../net/sse.ts";
import { createStore, type Store } from "../store.ts";
import { addRecords, emptyLog, type RunLog } from "./log.ts";

export type { RunInfo, RunSummary } from "../../runs/index.ts";
export type Status = RunStatus;

export interface RunView {
  info: RunInfo | null;
  log: RunLog;
  /** How many records of a long log are not in `log`. */
  leftOut: number;
  link: "loading" | "live" | "closed" | "lost" | "missing" | "unreadable";
  message?: string;
}

/** How long to wait before trying again, in ms: 1 s, doubling to 15 s. */
export const backoffMs = (failures: number): number => Math.min(15_000, 1_000 * 2 ** Math.max(0, failures - 1));

const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/**
 * Browsers open six connections to a server and no more. Streams that would take them all from every other request are
 * not opened: those runs are asked after instead.
 */
const MAX_STREAMS = 3;
let streams = 0;
const ASK_EVERY_MS = 5_000;
/** The page may run beside the training it shows, on the same cores: it draws twice a second, and seldom when hidden. */
const drawEveryMs = () => (document.hidden ? 5_000 : 500);

/** Reads a run and follows it while it grows; tries again by itself when the server goes and comes. */
export function followRun(id: string): { view: Store<RunView>; stop: () => void } {
  const view = createStore<RunView>({ info: null, log: emptyLog(), leftOut: 0, link: "loading" });
  const abort = new AbortController();
  void follow(id, view, abort.signal);
  return { view, stop: () => abort.abort() };
}

async function follow(id: string, view: Store<RunView>, signal: AbortSignal): Promise<void> {
  const path = `/api/runs/${encodeURIComponent(id)}`;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const whole = await getJson<{ run: RunInfo; log: unknown[]; lines?: number; leftOut?: number }>(path, signal);
      const log = addRecords(emptyLog(), whole.log);
      view.set({ info: whole.run, log, leftOut: whole.leftOut ?? 0, link: log.end ? "closed" : "live" });
      failures = 0;
      const streamed = !log.end && streams < MAX_STREAMS;
      if (streamed) {
        streams++;
        try {
          await readStream(`${path}/stream`, whole.lines ?? whole.log.length, view, signal);
        } finally {
          streams--;
        }
        if (view.get().log.end) view.set((old) => ({ ...old, link: "closed" }));
        else await wait(1_000, signal);
      }
      // What has ended may be resumed.
      if (view.get().log.end || !streamed) await changed(id, view.get().log, signal);
    } catch (error) {
      if (signal.aborted) return;
      const status = error instanceof Fault ? error.status : 0;
      const link = status === 404 ? "missing" : status === 422 ? "unreadable" : "lost";
      const message = error instanceof Fault ? error.message : "The connection to the server broke.";
      view.set((old) => ({ ...old, link, message }));
      await wait(backoffMs(++failures), signal);
    }
  }
}

/** Resolves once the server tells something else about a run than its log did. */
async function changed(id: string, log: RunLog, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await wait(ASK_EVERY_MS, signal);
    if (signal.aborted) return;
    const run = (await getJson<RunSummary[]>("/api/runs", signal)).find((r) => r.id === id);
    if (!run || run.step !== (log.steps.at(-1)?.step ?? 0) || run.status !== (log.end?.reason ?? run.status)) return;
  }
}

async function readStream(path: string, after: number, view: Store<RunView>, signal: AbortSignal): Promise<void> {
  const response = await send(`${path}?after=${after}`, { headers: { accept: "text/event-stream" }, signal });
  if (!response.body)
    throw new Fault("server", `The run's stream answered with status ${response.status}.`, response.status);
  let pending: unknown[] = [];
  let timer: ReturnType<typeof setTimeout> | null = null;
  const flush = () => {
    timer = null;
    const records = pending;
    pending = [];
    view.set((old) => ({ ...old, log: { ...addRecords(old.log, records) }, link: "live" }));
  };
  try {
    for await (const event of readSse(response.body)) {
      try {
        pending.push(JSON.parse(event.data));
      } catch {
        continue;
      }
      timer ??= setTimeout(flush, drawEveryMs());
      if ((pending.at(-1) as { type?: string } | null)?.type === "end") return;
    }
  } finally {
    if (timer) clearTimeout(timer);
    if (!signal.aborted) flush();
  }
}

/** Watches the list of runs: every 3 s while one is running and the page is looked at, else every 10 s. */
export function followList(): { view: Store<{ runs: RunSummary[] | null; message: string | null }>; stop: () => void } {
  const view = createStore<{ runs: RunSummary[] | null; message: string | null }>({ runs: null, message: null });
  const abort = new AbortController();
  void (async () => {
    while (!abort.signal.aborted) {
      try {
        view.set({ runs: await getJson<RunSummary[]>("/api/runs", abort.signal), message: null });
      } catch (error) {
        if (abort.signal.aborted) return;
        view.set((old) => ({ ...old, message: error instanceof Error ? error.message : String(error) }));
      }
      const busy = view.get().runs?.some((run) => run.status === "running") && !document.hidden;
      await wait(busy ? 3_000 : 10_000, abort.signal);
    }
  })();
  return { view, stop: () => abort.abort() };
}
