/** Runs as they are read again: the list, one run whole, its log as it grows. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isRunId } from "./id.ts";
import { LineTail } from "./lineTail.ts";
import { lockTimes, ownerOf } from "./lock.ts";
import { livenessOf } from "./process.ts";
import { checkRunId, parseRecord, removeRepeats } from "./records.ts";
import { RolloutLog, type RolloutStep } from "./rolloutLog.ts";
import { readRunInfo } from "./runInfo.ts";
import type { EndReason, RunInfo, RunRecord, RunSummary, StepRecord } from "./schema.ts";
import { type LogView, ThinLog } from "./thinLog.ts";

/** A record and its line number, the first line being 1. Damaged lines keep their number and are left out. */
export interface NumberedRecord {
  line: number;
  record: RunRecord;
}

export interface FollowOptions {
  /** Lines already seen. */
  after?: number;
  signal?: AbortSignal;
  /** Ends after an `end` record that is the last line (default: goes on, since the run may be resumed). */
  stopAtEnd?: boolean;
  pollMs?: number;
}

/** Logs that are kept for `view`, those asked for last. */
const VIEWS = 8;

/** What the list needs of one run, kept up to date by reading only what is new in its log. */
class RunDigest {
  private readonly tail: LineTail;
  private step: StepRecord | undefined;
  private evalLoss: number | null = null;
  private reward: number | null = null;
  private score: number | null = null;
  private end: EndReason | undefined;
  private skippedLines = 0;
  /** The owner's file as it was seen last, and when it was seen to change. */
  private sign = { text: "", at: -Infinity };

  constructor(
    private readonly dir: string,
    private readonly info: RunInfo,
  ) {
    this.tail = new LineTail(join(dir, "log.jsonl"));
  }

  async summary(): Promise<RunSummary> {
    await this.tail.read((line) => {
      const record = parseRecord(line);
      if (!record) return void this.skippedLines++;
      if (record.type === "step") this.step = record;
      if (record.type === "eval") this.evalLoss = record.loss;
      if (record.type === "policy") this.reward = record.reward;
      if (record.type === "score") this.score = record.right;
      if (record.type === "end") this.end = record.reason;
      if (record.type === "step") this.end = undefined;
    });
    const { id, recipeName, startedAt } = this.info;
    const status = this.end ?? (await this.liveness());
    return {
      id,
      recipeName,
      startedAt,
      status,
      step: this.step?.step ?? 0,
      steps: this.step?.steps ?? 0,
      loss: this.step?.loss ?? null,
      evalLoss: this.evalLoss,
      reward: this.reward,
      score: this.score,
      tokensPerSecond: this.step?.tokensPerSecond ?? null,
      etaSeconds: status === "running" ? (this.step?.etaSeconds ?? null) : null,
      skippedLines: this.skippedLines,
    };
  }

  /** Whether the process that writes the run is still there. */
  private async liveness(): Promise<"running" | "stale"> {
    const owner = await ownerOf(this.dir);
    if (!owner?.info || owner.info.released) return "stale";
    const { silenceMs, localSilenceMs } = lockTimes();
    const silentMs = Date.now() - owner.at;
    const liveness = livenessOf(owner.info);
    if (liveness === "dead") return "stale";
    if (liveness !== "unknown") return silentMs < localSilenceMs ? "running" : "stale";
    // Another machine's clock may differ: a sign of life that was seen to change counts whatever time it bears.
    if (owner.text !== this.sign.text)
      this.sign = { text: owner.text, at: this.sign.text === "" ? -Infinity : performance.now() };
    return Math.abs(silentMs) < silenceMs || performance.now() - this.sign.at < silenceMs ? "running" : "stale";
  }
}

const unreadable = (id: string, { message }: Error): RunSummary => ({
  id,
  recipeName: "",
  startedAt: "",
  status: "unreadable",
  step: 0,
  steps: 0,
  loss: null,
  evalLoss: null,
  reward: null,
  score: null,
  tokensPerSecond: null,
  etaSeconds: null,
  skippedLines: 0,
  problem: message,
});

/** What is kept of the logs that were asked for last; of a run that took another's name, anew. */
class Views<T> {
  readonly #kept = new Map<string, { startedAt: string; view: T }>();

  constructor(readonly open: (dir: string) => T) {}

  of(id: string, dir: string, startedAt: string): T {
    const known = this.#kept.get(id);
    const view = known?.startedAt === startedAt ? known.view : this.open(dir);
    this.#kept.delete(id);
    this.#kept.set(id, { startedAt, view });
    for (const oldest of this.#kept.keys()) if (this.#kept.size > VIEWS) this.#kept.delete(oldest);
    return view;
  }
}

/** Reads the runs of a folder, also while they are being written. */
export class RunReader {
  private readonly digests = new Map<string, RunDigest>();
  private readonly views = new Views((dir) => ({ thin: new ThinLog(dir), rollouts: new RolloutLog(dir) }));

  constructor(readonly runsDir: string) {}

  /** All runs, newest first; one that cannot be read is listed with the reason, last. A missing runs folder is empty. */
  async list(): Promise<RunSummary[]> {
    const names = await readdir(this.runsDir).catch(() => [] as string[]);
    const summaries: RunSummary[] = [];
    for (const name of names.filter(isRunId)) {
      if (!(await stat(join(this.runsDir, name, "run.json")).catch(() => undefined))) continue;
      summaries.push(await this.summary(name).catch((error: Error) => unreadable(name, error)));
    }
    return summaries.sort((a, b) =>
      a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : a.id < b.id ? 1 : -1,
    );
  }

  /** One run's line of the list. Throws CheckpointError when there is no such run. */
  async summary(id: string): Promise<RunSummary> {
    let digest = this.digests.get(id);
    if (!digest) {
      digest = new RunDigest(this.dirOf(id), await this.info(id));
      this.digests.set(id, digest);
    }
    return digest.summary();
  }

  private dirOf(id: string): string {
    return join(this.runsDir, checkRunId(id));
  }

  /** run.json, checked. Throws CheckpointError when there is no such run, or naming the field at fault. */
  async info(id: string): Promise<RunInfo> {
    return readRunInfo(this.dirOf(id), id);
  }

  /** A whole run: run.json, every record with repeats removed, and how many lines the log has (for `follow`). */
  async read(id: string): Promise<{ run: RunInfo; log: RunRecord[]; lines: number }> {
    const run = await this.info(id);
    const records: RunRecord[] = [];
    let lines = 0;
    await new LineTail(join(this.dirOf(id), "log.jsonl")).read((line) => {
      lines++;
      const record = parseRecord(line);
      if (record) records.push(record);
    });
    return { run, log: removeRepeats(records), lines };
  }

  /** How far a run came, and in how many seconds, as its log tells; steps that were done twice are in those twice. */
  async spent(id: string): Promise<{ step: number; seconds: number }> {
    let step = 0;
    let seconds = 0;
    for (const record of (await this.read(id)).log)
      if (record.type === "step") {
        step = Math.max(step, record.step);
        seconds = Math.max(seconds, record.seconds ?? 0);
      }
    return { step, seconds };
  }

  /** A run as a page shows it: run.json, and of a long log evenly spread records; only what is new in the log is read. */
  async view(id: string): Promise<{ run: RunInfo } & LogView> {
    const run = await this.info(id);
    const { thin } = this.views.of(id, this.dirOf(id), run.startedAt);
    return { run, ...(await thin.view()) };
  }

  /** Answers of a run of reinforcement at some of its steps, evenly spread from the first to the last; long ones are cut in their middle. */
  async rollouts(id: string): Promise<RolloutStep[]> {
    const run = await this.info(id);
    return this.views.of(id, this.dirOf(id), run.startedAt).rollouts.view();
  }

  /** Every record after line `after`, then new ones as they are written, until `signal` (or the end, by choice). */
  async *follow(id: string, options: FollowOptions = {}): AsyncGenerator<NumberedRecord, void, undefined> {
    const { after = 0, signal, stopAtEnd = false, pollMs = 250 } = options;
    await this.info(id);
    const tail = new LineTail(join(this.dirOf(id), "log.jsonl"));
    let line = 0;
    let ended = false;
    while (!signal?.aborted) {
      const fresh: NumberedRecord[] = [];
      let passed: string | undefined;
      // a part at a time: a log may be longer than memory, and is read as fast as its records are taken
      const more = await tail.read((text) => {
        // what was seen before is not even parsed, but for the last
        if (++line <= after) return void (passed = text);
        const record = parseRecord(text);
        if (!record) return;
        ended = record.type === "end";
        fresh.push({ line, record });
      }, true);
      if (passed !== undefined && fresh.length === 0) ended = parseRecord(passed)?.type === "end";
      for (const numbered of fresh) {
        if (signal?.aborted) return;
        yield numbered;
      }
      if (more) continue;
      if (ended && stopAtEnd) return;
      await delay(pollMs, undefined, { signal }).catch(() => {});
    }
  }
}
