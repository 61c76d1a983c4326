export { SCHEDULES, chunksOf, rankOf, shapeProblem, stagesOf, type ScheduleShape } from "./shape.ts";
export { activationBytes, breakdown, makespan, simulate, slots } from "./simulate.ts";
export { idleSeconds } from "./closed-forms.ts";
export { KIND_STYLE, timeline, timelineSvg, type Timeline, type TimelineOptions, type TimelineRect } from "./timeline.ts";
export { eventName, toTrace, type Trace, type TraceEvent } from "./trace.ts";
