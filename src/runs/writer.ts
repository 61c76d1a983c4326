import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { atomicFile, isAlive, readJsonFile, writeError } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { checkRunId, makeRunId, type RunInfo, type RunRecord } from "./records.ts";

/** Who writes a run now: `alive.json` in its folder, renewed every few seconds and removed at a clean end. */
export interface Heartbeat {
  pid: number;
  host: string;
  /** Milliseconds since 1970. */
  at: number;
}

const HEARTBEAT_MS = 5_000;
/** A line is on disk at the latest this long after it was written; `checkpoint` and `end` at once. */
const SYNC_MS = 5_000;

export interface NewRun extends Omit<RunInfo, "id" | "startedAt"> {
  /** Made from the time and the recipe's name when not given. */
  id?: string;
  startedAt?: string;
}

/**
 * Appends to a run's log.jsonl, one JSON object per line. A line is with the operating system when `write` returns, so a
 * kill -9 loses nothing but a half-written last line, which `RunWriter.resume` cuts off.
 */
export class RunWriter {
  private syncedAt = 0;
  private readonly timer: NodeJS.Timeout;
  private closed = false;
  private beating: Promise<void> = Promise.resolve();

  private constructor(
    readonly dir: string,
    readonly info: RunInfo,
    private readonly fd: number,
    private length: number,
  ) {
    this.timer = setInterval(() => (this.beating = writeHeartbeat(dir).catch(() => {})), HEARTBEAT_MS);
    this.timer.unref();
  }

  get id(): string {
    return this.info.id;
  }

  /** Creates runs/<id>/ with run.json and an empty log. Throws CheckpointError when the run exists. */
  static async create(runsDir: string, run: NewRun): Promise<RunWriter> {
    const startedAt = run.startedAt ?? new Date().toISOString();
    const wanted = run.id ?? makeRunId(run.recipeName, new Date(startedAt));
    const id = await makeRunFolder(runsDir, checkRunId(wanted), run.id === undefined).catch(async (error: unknown) => {
      throw await writeError(error, runsDir);
    });
    const dir = join(runsDir, id);
    const info: RunInfo = { ...run, id, startedAt };
    await atomicFile(join(dir, "run.json"), `${JSON.stringify(info, null, 2)}\n`);
    return RunWriter.open(dir, info);
  }

  /** Continues a run: cuts off a half-written last line. Throws CheckpointError when another live process writes it. */
  static async resume(runsDir: string, id: string): Promise<RunWriter> {
    const dir = join(runsDir, checkRunId(id));
    const info = (await readJsonFile(join(dir, "run.json"))) as unknown as RunInfo;
    const beat = await readHeartbeat(dir);
    if (beat && beat.host === hostname() && beat.pid !== process.pid && isAlive(beat.pid) && Date.now() - beat.at < 60_000)
      throw new CheckpointError(`${dir}: is being written by process ${beat.pid}`);
    return RunWriter.open(dir, info);
  }

  private static async open(dir: string, info: RunInfo): Promise<RunWriter> {
    let fd: number | undefined;
    try {
      fd = openSync(join(dir, "log.jsonl"), "a+");
      const length = wholeLinesBytes(fd);
      ftruncateSync(fd, length);
      await writeHeartbeat(dir);
      return new RunWriter(dir, info, fd, length);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw await writeError(error, dir);
    }
  }

  /** Appends one record. Throws CheckpointError when the disk is full; the log then still ends with a whole line. */
  write(record: RunRecord): void {
    if (this.closed) throw new CheckpointError(`${this.dir}: the run's log is closed`);
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    try {
      for (let done = 0; done < line.length; ) done += writeSync(this.fd, line, done);
      this.length += line.length;
      const mustSync = record.type === "checkpoint" || record.type === "end";
      if (mustSync || Date.now() - this.syncedAt >= SYNC_MS) this.sync();
    } catch (error) {
      ftruncateSync(this.fd, this.length);
      throw new CheckpointError(`${this.dir}: log.jsonl cannot be written: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
    }
  }

  private sync(): void {
    fsyncSync(this.fd);
    this.syncedAt = Date.now();
  }

  /** Writes everything to disk and lets go of the run. Write an `end` record first when the run is over. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    await this.beating;
    this.sync();
    closeSync(this.fd);
    await rm(join(this.dir, "alive.json"), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Makes the folder; with `mayRename`, a second run of the same second gets a number behind its name. */
async function makeRunFolder(runsDir: string, wanted: string, mayRename: boolean): Promise<string> {
  await mkdir(runsDir, { recursive: true });
  for (let attempt = 1; ; attempt++) {
    const id = attempt === 1 ? wanted : `${wanted}-${attempt}`;
    try {
      await mkdir(join(runsDir, id));
      return id;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (!mayRename) throw new CheckpointError(`${join(runsDir, id)}: the run exists already`);
    }
  }
}

/** Length of the file up to and including its last newline. */
function wholeLinesBytes(fd: number): number {
  const chunk = Buffer.alloc(64 * 1024);
  for (let end = fstatSync(fd).size; end > 0; ) {
    const begin = Math.max(0, end - chunk.length);
    const count = readSync(fd, chunk, 0, end - begin, begin);
    const newline = chunk.subarray(0, count).lastIndexOf(0x0a);
    if (newline >= 0) return begin + newline + 1;
    end = begin;
  }
  return 0;
}

async function writeHeartbeat(dir: string): Promise<void> {
  const beat: Heartbeat = { pid: process.pid, host: hostname(), at: Date.now() };
  await atomicFile(join(dir, "alive.json"), JSON.stringify(beat));
}

/** The heartbeat of a run folder; undefined when it has none. */
export async function readHeartbeat(dir: string): Promise<Heartbeat | undefined> {
  try {
    const beat = JSON.parse(await readFile(join(dir, "alive.json"), "utf8")) as Heartbeat;
    return Number.isFinite(beat.at) && Number.isFinite(beat.pid) ? beat : undefined;
  } catch {
    return undefined;
  }
}
