/** How long jobs report their progress. */

/** One report of a long job. `done` and `total` are in `unit`; `total` 0 means unknown. */
export interface ProgressReport {
  label: string;
  done: number;
  total: number;
  unit: string;
  note?: string;
}

/** Anything that can take over two seconds accepts one of these and calls it often; the CLI draws it with an ETA. */
export type OnProgress = (report: ProgressReport) => void;
