/** A run's log as a page can hold it: of a long one evenly spread records, gathered as its lines come. */
import { join } from "node:path";
import { LineTail } from "./lineTail.ts";
import { nameOf, parseRecord } from "./records.ts";
import type { LoadRecord, RunRecord } from "./schema.ts";

/** Most records of each kind; a chart is 2,000 points wide at most. */
const MOST = { step: 4000, eval: 2000, load: 1000, sample: 500, notes: 1000 };
/** Most numbers in all records of the experts' load. */
const MOST_LOADS = 2 ** 19;

const sizeOfLoad = ({ load }: LoadRecord): number => load.reduce((sum, layer) => sum + layer.length, 1);

/** Records in the order of their steps, of which so many are kept: when they become too many every other one goes, and of those that follow as many. */
export class ThinList<T extends { step: number }> {
  #kept: T[] = [];
  /** The newest, which is always told. */
  #last: T | undefined;
  #gap = 0;

  #gone = 0;

  constructor(readonly most: (one: T) => number) {}

  /** How many were put and are not kept, but for those given up. */
  get leftOut(): number {
    return this.#gone - (this.#last === this.#kept.at(-1) ? 0 : 1);
  }

  /** Adds a record; one of a step that was there takes the place of what stood from that step on: the run went back behind it. */
  put(record: T): void {
    if (this.#last !== undefined && this.#last.step >= record.step) this.cut(record.step);
    this.#last = record;
    const before = this.#kept.at(-1);
    if (before !== undefined && record.step - before.step < this.#gap) return void this.#gone++;
    this.#kept.push(record);
    if (this.#kept.length <= this.most(record)) return;
    this.#gone += this.#kept.length >> 1;
    this.#kept = this.#kept.filter((_, i) => i % 2 === 0);
    this.#gap = (record.step - (this.#kept[0]?.step ?? 0)) / this.#kept.length;
  }

  /** Gives up what was measured at a step and behind it. */
  cut(step: number): void {
    while (this.#kept.length > 0 && (this.#kept.at(-1)?.step ?? 0) >= step) this.#kept.pop();
    if (this.#last !== undefined && this.#last.step >= step) this.#last = this.#kept.at(-1);
  }

  all(): T[] {
    return this.#last === undefined || this.#last === this.#kept.at(-1) ? this.#kept : [...this.#kept, this.#last];
  }
}

/** Each fact told twice once, the newest so many. */
class Newest<T extends RunRecord> {
  #of = new Map<string, T>();

  leftOut = 0;

  constructor(readonly most: number) {}

  put(record: T): void {
    const name = nameOf(record);
    this.#of.delete(name);
    this.#of.set(name, record);
    const [oldest] = this.#of.keys();
    if (this.#of.size > this.most && oldest !== undefined && this.#of.delete(oldest)) this.leftOut++;
  }

  drop(gone: (record: T) => boolean): void {
    for (const [name, record] of this.#of) if (gone(record)) this.#of.delete(name);
  }

  all(): T[] {
    return [...this.#of.values()];
  }
}

/** What a page is given of a run's log: bounded, however long the log is. */
export interface LogView {
  /** In the order of their steps. */
  log: RunRecord[];
  /** Lines of the log, for `follow`. */
  lines: number;
  /** How many more records there are, but for those of a past that the run gave up. */
  leftOut: number;
}

/** Reads a log as it grows, and keeps of it what a page shows: records of a past that the run gave up go, of the others evenly spread ones stay. */
export class ThinLog {
  readonly #tail: LineTail;
  readonly #steps = new ThinList<RunRecord & { type: "step" }>(() => MOST.step);
  readonly #evals = new ThinList<RunRecord & { type: "eval" }>(() => MOST.eval);
  readonly #loads = new ThinList<LoadRecord>((one) =>
    Math.max(16, Math.min(MOST.load, Math.floor(MOST_LOADS / sizeOfLoad(one)))),
  );
  readonly #policies = new ThinList<RunRecord & { type: "policy" }>(() => MOST.step);
  readonly #scores = new ThinList<RunRecord & { type: "score" }>(() => MOST.eval);
  readonly #samples = new Newest<RunRecord & { type: "sample" }>(MOST.sample);
  readonly #notes = new Newest<RunRecord & { type: "event" | "checkpoint" | "end" }>(MOST.notes);
  #lines = 0;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(dir: string) {
    this.#tail = new LineTail(join(dir, "log.jsonl"));
  }

  /** What is new is read first; who asks meanwhile waits for it. */
  async view(): Promise<LogView> {
    const reading = this.#reading.catch(() => undefined).then(() => this.#tail.read((line) => this.#take(line)));
    this.#reading = reading;
    await reading;
    // of one step, the step first: a page drops an end when a step comes behind it
    const kinds = [this.#steps, this.#evals, this.#loads, this.#policies, this.#scores, this.#samples, this.#notes];
    const log = kinds.flatMap((kind): RunRecord[] => kind.all()).sort((a, b) => a.step - b.step);
    return { log, lines: this.#lines, leftOut: kinds.reduce((sum, kind) => sum + kind.leftOut, 0) };
  }

  #take(line: string | undefined): void {
    this.#lines++;
    const record = parseRecord(line);
    if (record === undefined) return;
    switch (record.type) {
      case "step": {
        const { step } = record;
        this.#steps.put(record);
        for (const list of [this.#evals, this.#loads, this.#policies, this.#scores]) list.cut(step + 1);
        this.#samples.drop((one) => one.step > step);
        this.#notes.drop((one) => one.type === "end");
        return;
      }
      case "eval":
        return this.#evals.put(record);
      case "load":
        return this.#loads.put(record);
      case "sample":
        return this.#samples.put(record);
      case "policy":
        return this.#policies.put(record);
      case "score":
        return this.#scores.put(record);
      case "end":
        this.#notes.drop((one) => one.type === "end");
        return this.#notes.put(record);
      default:
        return this.#notes.put(record);
    }
  }
}
