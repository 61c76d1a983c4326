/** Idle time of pipeline schedules by the published formulas. */
import type { StageTimes } from "../types.ts";
import type { ScheduleShape } from "./shape.ts";

/**
 * Idle seconds of a rank by the published formulas, all stages alike and sending free: 1F1B and interleaved from arXiv:2104.04473 §2.2, ZB-H1 as ZB1P and both
 * DualPipes from deepseek-ai/DualPipe's table. `times` are of one stage (chunk); F, W and F&B as there, B being the whole backward.
 */
export function idleSeconds({ schedule, pp }: ScheduleShape, times: StageTimes): number {
  const f = times.forward,
    w = times.backwardWeight,
    b = times.backwardInput + w;
  switch (schedule) {
    case "1f1b":
    // With vp chunks the fill is pp - 1 chunks long: (pp - 1)(F + B) ÷ vp of a whole rank's F and B.
    case "interleaved":
      return (pp - 1) * (f + b);
    case "zero-bubble":
      return (pp - 1) * (f + b - 2 * w);
    case "dualpipe":
      return (pp / 2 - 1) * (times.pair + b - 3 * w);
    case "dualpipev":
      return (pp - 1) * (times.pair + b - 3 * w);
  }
}
