export { SCHEDULES, chunksOf, rankOf, shapeProblem, stagesOf, type ScheduleShape } from "./shape.ts";
export { activationBytes, breakdown, makespan, simulate, slots } from "./simulate.ts";
