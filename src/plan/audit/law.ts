/** Checks of an audit: whether the chips could be had lawfully. */
import type { Source } from "../types.ts";
import type { Check } from "./report.ts";
import type { Subject } from "./subject.ts";

/** When a chip could be had lawfully somewhere, before a day. */
export interface Obtainable {
  /** False where the rules or the chip's data leave it open. */
  known: boolean;
  ever: boolean;
  /** First and last day, where there are such. */
  from?: string;
  until?: string;
  /** What ended it: a rule, or a letter to the maker. */
  ended?: string;
  short: string;
  sources: Source[];
}

/** Whether the stated chips could lawfully have reached the makers' country before the claim. */
export function checkLaw(subject: Subject, obtainable: Obtainable): Check[] {
  const { claim, chip } = subject;
  if (!claim.seat) return [];
  const base = {
    id: "law",
    topic: "law",
    kind: "law",
    title: "lawfulness of the chips",
    numbers: {},
    sources: obtainable.sources,
  } as const;
  if (!obtainable.known) {
    return [
      {
        ...base,
        grade: "unknown",
        says: `Whether the ${chip.name} could be had in ${claim.seat} cannot be told from what is published.`,
        short: `${chip.name} in ${claim.seat}: unknown`,
      },
    ];
  }
  return [
    {
      ...base,
      grade: obtainable.ever ? "ok" : "unshown",
      says: obtainable.ever
        ? `The ${chip.name} could be had in ${claim.seat} without a licence ${obtainable.short}${obtainable.ended ? ` (ended by ${obtainable.ended})` : ""}, before the claim of ${claim.date}; what was bought then may be used since.`
        : `The ${chip.name} could not be had in ${claim.seat} without a licence at any time before ${claim.date}: where the chips came from is not shown.`,
      short: obtainable.ever
        ? `${chip.name} lawful in ${claim.seat} ${obtainable.short}`
        : `${chip.name} never free for ${claim.seat} before ${claim.date}`,
    },
  ];
}
