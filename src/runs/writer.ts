/** The one process that writes a run: its log, line by line, and run.json. */
import {
  closeSync,
  copyFileSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { atomicFile, writeError } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import type { OnProgress } from "../progress.ts";
import { recipeHash } from "./binding.ts";
import { LINE_BYTES_MAX } from "./lineTail.ts";
import { RunLock } from "./lock.ts";
import { checkRunId, makeRunId } from "./records.ts";
import { readRunInfo } from "./runInfo.ts";
import type { RunInfo, RunRecord } from "./schema.ts";

/** A line is on disk at the latest this long after it was written; `checkpoint` and `end` at once. */
const SYNC_MS = 5_000;

export interface NewRun extends Omit<RunInfo, "id" | "startedAt"> {
  /** Made from the time and the recipe's name when not given. */
  id?: string;
  startedAt?: string;
}

/**
 * Appends to a run's log.jsonl, one JSON object per line. A line is with the operating system when `write` returns, so a
 * kill -9 loses nothing but a half-written last line, which `RunWriter.resume` cuts off. Everything is refused with a
 * CheckpointError once another process has taken the run over.
 */
export class RunWriter {
  private syncedAt = 0;
  private closed = false;

  private constructor(
    readonly dir: string,
    public info: RunInfo,
    private readonly lock: RunLock,
    private readonly fd: number,
    private length: number,
  ) {}

  get id(): string {
    return this.info.id;
  }

  /** Creates runs/<id>/ with what `fill` puts there, run.json and an empty log. Throws CheckpointError when the run exists. */
  static async create(
    runsDir: string,
    run: NewRun,
    fill: (dir: string) => Promise<void> = async () => {},
  ): Promise<RunWriter> {
    const startedAt = run.startedAt ?? new Date().toISOString();
    const wanted = run.id ?? makeRunId(run.recipeName, new Date(startedAt));
    const id = await makeRunFolder(runsDir, checkRunId(wanted), run.id === undefined).catch(async (error: unknown) => {
      throw await writeError(error, runsDir);
    });
    const dir = join(runsDir, id);
    const info: RunInfo = { ...run, recipeHash: recipeHash(run.recipe), id, startedAt };
    try {
      const lock = await RunLock.acquire(dir);
      await fill(dir);
      await atomicFile(join(dir, "run.json"), textOf(info));
      return RunWriter.open(dir, info, lock);
    } catch (error) {
      await rm(dir, { recursive: true, force: true }).catch(() => {});
      throw await writeError(error, dir);
    }
  }

  /** Continues a run: cuts off a half-written last line. Throws CheckpointError when another process writes it. */
  static async resume(runsDir: string, id: string, onProgress?: OnProgress): Promise<RunWriter> {
    const dir = join(runsDir, checkRunId(id));
    const info = await readRunInfo(dir, id);
    const lock = await RunLock.acquire(dir, { onProgress }).catch(async (error: unknown) => {
      throw await writeError(error, dir);
    });
    return RunWriter.open(dir, info, lock);
  }

  private static async open(dir: string, info: RunInfo, lock: RunLock): Promise<RunWriter> {
    const path = join(dir, "log.jsonl");
    let fd: number | undefined;
    try {
      if (lock.tookOver) renew(path);
      fd = openSync(path, "a+");
      const length = wholeLinesBytes(fd);
      ftruncateSync(fd, length);
      return new RunWriter(dir, info, lock, fd, length);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      lock.release();
      throw await writeError(error, dir);
    }
  }

  /** Throws CheckpointError when another process has taken the run over. */
  check(): void {
    this.lock.check();
  }

  /** Writes run.json anew. */
  async update(changes: Partial<RunInfo>): Promise<void> {
    this.check();
    this.info = { ...this.info, ...changes };
    if (changes.recipe) this.info.recipeHash = recipeHash(changes.recipe);
    await atomicFile(join(this.dir, "run.json"), textOf(this.info));
  }

  /** Appends one record. Throws CheckpointError when the disk is full; the log then still ends with a whole line. */
  write(record: RunRecord): void {
    if (this.closed) throw new CheckpointError(`${this.dir}: the run's log is closed`);
    this.check();
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    if (line.length > LINE_BYTES_MAX)
      return this.write({
        type: "event",
        step: record.step,
        level: "warn",
        message: `a record (${record.type}) of ${line.length} bytes was left out of the log`,
      });
    try {
      for (let done = 0; done < line.length; ) done += writeSync(this.fd, line, done);
      this.length += line.length;
      const mustSync = record.type === "checkpoint" || record.type === "end";
      if (mustSync || Date.now() - this.syncedAt >= SYNC_MS) this.sync();
    } catch (error) {
      ftruncateSync(this.fd, this.length);
      throw new CheckpointError(`${this.dir}: log.jsonl cannot be written: ${(error as NodeJS.ErrnoException).code}`, {
        cause: error,
      });
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
    try {
      this.sync();
    } finally {
      closeSync(this.fd);
      this.lock.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const textOf = (info: RunInfo): string => `${JSON.stringify(info, null, 2)}\n`;

/** Puts a copy in the file's place: a process that still has the old one open writes where nobody reads. */
function renew(path: string): void {
  const copy = `${path}.tmp`;
  try {
    copyFileSync(path, copy);
    renameSync(copy, path);
  } catch (error) {
    rmSync(copy, { force: true });
    // There is no log yet, or Windows does not replace a file that is open: then the lock alone must do.
    if (!["ENOENT", "EPERM", "EACCES", "EBUSY"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
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
