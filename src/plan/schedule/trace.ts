/** A played schedule in Chrome's trace format. */
import type { ScheduleEvent, ScheduleResult } from "../types.ts";

/** An event of Chrome's trace format: "X" a span of `dur` microseconds, "M" a name. */
export interface TraceEvent {
  ph: "X" | "M";
  name: string;
  pid: number;
  tid: number;
  ts?: number;
  dur?: number;
  cat?: string;
  args: Record<string, string | number>;
}

export interface Trace {
  displayTimeUnit: "ms";
  traceEvents: TraceEvent[];
}

/** "F 12", "B 3", and "F 12 & B 3" for a pair: kinds and micro-batches. A whole backward is called B. */
export function eventName(event: ScheduleEvent): string {
  if (event.kind === "FB") return `F ${event.microBatch} & B ${event.backward?.microBatch}`;
  return `${event.kind === "BW" ? "B" : event.kind} ${event.microBatch}`;
}

/**
 * The step as a trace that ui.perfetto.dev and chrome://tracing open once written with JSON.stringify: one process for the pipeline, one thread a
 * rank, microseconds from the step's start. `names.ranks` may say what each rank is.
 */
export function toTrace(
  result: ScheduleResult,
  names: { pipeline?: string; ranks?: string[]; pid?: number } = {},
): Trace {
  const pid = names.pid ?? 0;
  const traceEvents: TraceEvent[] = [
    { ph: "M", name: "process_name", pid, tid: 0, args: { name: names.pipeline ?? "pipeline" } },
  ];
  result.ranks.forEach((_, rank) => {
    traceEvents.push({
      ph: "M",
      name: "thread_name",
      pid,
      tid: rank,
      args: { name: names.ranks?.[rank] ?? `rank ${rank}` },
    });
    traceEvents.push({ ph: "M", name: "thread_sort_index", pid, tid: rank, args: { sort_index: rank } });
  });
  for (const event of result.events) {
    const args: TraceEvent["args"] = { stage: event.stage, microBatch: event.microBatch };
    if (event.backward) {
      args.backwardStage = event.backward.stage;
      args.backwardMicroBatch = event.backward.microBatch;
    }
    traceEvents.push({
      ph: "X",
      name: eventName(event),
      cat: event.kind,
      pid,
      tid: event.rank,
      ts: event.start * 1e6,
      dur: (event.end - event.start) * 1e6,
      args,
    });
  }
  return { displayTimeUnit: "ms", traceEvents };
}
