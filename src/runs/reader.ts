import { open, readdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive, readJsonFile } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { checkRunId, parseRecord, removeRepeats, type EndReason, type RunInfo, type RunRecord, type StepRecord } from "./records.ts";
import { readHeartbeat } from "./writer.ts";

export type RunStatus = "running" | EndReason | "stale";

/** One line of the list of runs. */
export interface RunSummary {
  id: string;
  recipeName: string;
  startedAt: string;
  status: RunStatus;
  step: number;
  steps: number;
  loss: number | null;
  evalLoss: number | null;
  tokensPerSecond: number | null;
  etaSeconds: number | null;
}

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

/** A heartbeat is renewed every 5 s; without one for this long a process elsewhere counts as gone, one here as another program. */
const REMOTE_SILENCE_MS = 60_000;
const LOCAL_SILENCE_MS = 600_000;
const READ_BYTES = 1 << 20;
const NEWLINE = 0x0a;

/**
 * Reads whole lines as they are appended to a file. A last line without its newline is read again next time, since a
 * resumed writer cuts a half-written one off and writes another in its place.
 */
class LineTail {
  /** Where the first line not yet seen begins. */
  private position = 0;

  constructor(private readonly path: string) {}

  /** Calls `onLine` for every line that is new since the last call. */
  async read(onLine: (line: string) => void): Promise<void> {
    const handle = await open(this.path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (!handle) return;
    try {
      const { size } = await handle.stat();
      if (size <= this.position) return;
      const chunk = Buffer.alloc(Math.min(READ_BYTES, size - this.position));
      let rest = Buffer.alloc(0);
      for (let at = this.position; at < size; ) {
        const { bytesRead } = await handle.read(chunk, 0, Math.min(chunk.length, size - at), at);
        if (bytesRead === 0) break;
        at += bytesRead;
        rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
        let begin = 0;
        for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, begin)) {
          onLine(rest.toString("utf8", begin, end));
          begin = end + 1;
        }
        rest = rest.subarray(begin);
        this.position += begin;
      }
    } finally {
      await handle.close();
    }
  }
}

/** What the list needs of one run, kept up to date by reading only what is new in its log. */
class RunDigest {
  private readonly tail: LineTail;
  private step: StepRecord | undefined;
  private evalLoss: number | null = null;
  private end: EndReason | undefined;

  constructor(
    private readonly dir: string,
    private readonly info: RunInfo,
  ) {
    this.tail = new LineTail(join(dir, "log.jsonl"));
  }

  async summary(): Promise<RunSummary> {
    await this.tail.read((line) => {
      const record = parseRecord(line);
      if (!record) return;
      if (record.type === "step") this.step = record;
      if (record.type === "eval") this.evalLoss = record.loss;
      if (record.type === "end") this.end = record.reason;
      else if (record.type === "step") this.end = undefined;
    });
    const { id, recipeName, startedAt } = this.info;
    const status = this.end ?? (await liveness(this.dir));
    return {
      id,
      recipeName,
      startedAt,
      status,
      step: this.step?.step ?? 0,
      steps: this.step?.steps ?? 0,
      loss: this.step?.loss ?? null,
      evalLoss: this.evalLoss,
      tokensPerSecond: this.step?.tokensPerSecond ?? null,
      etaSeconds: status === "running" ? (this.step?.etaSeconds ?? null) : null,
    };
  }
}

/** Whether the process that writes a run is still there. */
async function liveness(dir: string): Promise<"running" | "stale"> {
  const beat = await readHeartbeat(dir);
  if (!beat) return "stale";
  const silenceMs = Date.now() - beat.at;
  if (beat.host !== hostname()) return silenceMs < REMOTE_SILENCE_MS ? "running" : "stale";
  return isAlive(beat.pid) && silenceMs < LOCAL_SILENCE_MS ? "running" : "stale";
}

/** Reads the runs of a folder, also while they are being written. */
export class RunReader {
  private readonly digests = new Map<string, RunDigest>();

  constructor(readonly runsDir: string) {}

  /** All runs, newest first; folders without a readable run.json are left out. A missing runs folder is empty. */
  async list(): Promise<RunSummary[]> {
    const names = await readdir(this.runsDir).catch(() => [] as string[]);
    const summaries: RunSummary[] = [];
    for (const name of names) {
      const summary = await this.summary(name).catch((error) => {
        if (error instanceof CheckpointError) return undefined;
        throw error;
      });
      if (summary) summaries.push(summary);
    }
    return summaries.sort((a, b) => (a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : a.id < b.id ? 1 : -1));
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

  /** run.json. Throws CheckpointError when there is no such run. */
  async info(id: string): Promise<RunInfo> {
    const dir = this.dirOf(id);
    if (!(await stat(join(dir, "run.json")).catch(() => undefined))) throw new CheckpointError(`${dir}: no such run`);
    const info = (await readJsonFile(join(dir, "run.json"))) as unknown as RunInfo;
    if (typeof info.startedAt !== "string") throw new CheckpointError(`${join(dir, "run.json")}: expected startedAt`);
    return { ...info, id };
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

  /** Every record after line `after`, then new ones as they are written, until `signal` (or the end, by choice). */
  async *follow(id: string, options: FollowOptions = {}): AsyncGenerator<NumberedRecord, void, undefined> {
    const { after = 0, signal, stopAtEnd = false, pollMs = 250 } = options;
    await this.info(id);
    const tail = new LineTail(join(this.dirOf(id), "log.jsonl"));
    let line = 0;
    let ended = false;
    while (!signal?.aborted) {
      const fresh: NumberedRecord[] = [];
      await tail.read((text) => {
        line++;
        const record = parseRecord(text);
        if (!record) return;
        ended = record.type === "end";
        if (line > after) fresh.push({ line, record });
      });
      for (const numbered of fresh) {
        if (signal?.aborted) return;
        yield numbered;
      }
      if (ended && stopAtEnd) return;
      await delay(pollMs, undefined, { signal }).catch(() => {});
    }
  }
}
