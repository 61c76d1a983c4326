/** Checks of an audit: whether the days allow the hours. */
import { gradeUpTo, trim, whole } from "./figures.ts";
import type { Check } from "./report.ts";
import type { Subject } from "./subject.ts";

const DAY = 86_400_000;
/** Date.parse of a date that may name only a year or a month. */
export const dayOf = (date: string): number => Math.floor(Date.parse(date) / DAY);

/** Whether there was time: days the hours take on the stated GPUs, against days between the chip (or the last release) and publication. */
export function checkCalendar(subject: Subject): Check[] {
  const { claim, chip } = subject;
  if (!claim.gpus) return [];
  const days = claim.phases.reduce(
    (a, phase, i) => a + subject.phases[i]!.gpuHours / (phase.gpus ?? claim.gpus!) / 24,
    0,
  );
  const from = claim.notBefore ?? chip.released;
  const room = dayOf(claim.date) - dayOf(from);
  const since = claim.notBefore ? `since ${from}` : `since the ${chip.name} came out in ${from}`;
  return [
    {
      id: "calendar",
      topic: "calendar",
      kind: "calendar",
      title: "days on the calendar",
      grade: room < 0 ? "broken" : gradeUpTo(days / room, { ok: 0.7, aggressive: 0.95, unshown: 1.05 }),
      says:
        room < 0
          ? `The ${chip.name} came out in ${from}, after the claim of ${claim.date}.`
          : `${whole(claim.gpus)} GPUs need ${trim(days)} days for the stated hours; ${whole(room)} days passed ${since}.`,
      short:
        room < 0 ? `the ${chip.name} is younger than the claim` : `${trim(days)} days of the ${whole(room)} ${since}`,
      numbers: { days, room },
      sources: [...claim.sources, ...chip.sources],
    },
  ];
}
