/** Pipeline schedules: played event by event, drawn, traced, and by closed forms. */
export { idleSeconds } from "./closed-forms.ts";
export { chunksOf, rankOf, SCHEDULES, type ScheduleShape, shapeProblem, stagesOf } from "./shape.ts";
export { activationBytes, breakdown, makespan, simulate, slots } from "./simulate.ts";
export {
  KIND_STYLE,
  type Timeline,
  type TimelineOptions,
  type TimelineRect,
  timeline,
  timelineSvg,
} from "./timeline.ts";
export { eventName, type Trace, type TraceEvent, toTrace } from "./trace.ts";
