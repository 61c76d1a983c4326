/** Who may write a run: one process at a time, whatever it was put to sleep for. */
import { randomUUID } from "node:crypto";
import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { readRegularFile } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { duration } from "../format.ts";
import { parseJson } from "../json.ts";
import type { OnProgress } from "../progress.ts";
import { livenessOf, thisProcess } from "./process.ts";
import { type WriterInfo, writerSchema } from "./schema.ts";

/*
 * The run's folder holds `writer-<number>.json`; the highest number owns the run. To take it over is to make the next number, which
 * only one process can. The owner renews its own file as a sign of life, and looks for a higher number before everything that it writes.
 * The last file stays when a run is let go (`released`), so that numbers never come again.
 */
const NAME = /^writer-(\d{1,12})\.json$/;
const nameOf = (number: number): string => `writer-${number}.json`;

export interface LockTimes {
  /** Between two signs of life. */
  heartbeatMs: number;
  /** So long without one, by the clock, is a reason to doubt a process that cannot be looked at. */
  silenceMs: number;
  /** The same of a process of this machine that lives: stopped, or stuck. */
  localSilenceMs: number;
  /** So long a doubtful process is watched before the run is taken over: clocks of two machines may differ. */
  watchMs: number;
}

/** All times follow from one, so that tests can shorten it: SUMBI_HEARTBEAT_MS. */
export function lockTimes(heartbeatMs = Number(process.env["SUMBI_HEARTBEAT_MS"]) || 5_000): LockTimes {
  return { heartbeatMs, silenceMs: 12 * heartbeatMs, localSilenceMs: 120 * heartbeatMs, watchMs: 3 * heartbeatMs };
}

/** The newest owner of a run as its file tells it. `info` is undefined when the file is damaged or just being written. */
export interface Owner {
  number: number;
  text: string;
  info: WriterInfo | undefined;
  /** Time of the last sign of life, by the owner's clock. */
  at: number;
}

const numbersIn = (names: readonly string[]): number[] =>
  names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);

const WRITER_BYTES_MAX = 65_536;
const readWriter = (path: string): string => readRegularFile(path, WRITER_BYTES_MAX, CheckpointError).toString("utf8");

function parseWriter(text: string): WriterInfo | undefined {
  try {
    return writerSchema.safeParse(parseJson(text)).data;
  } catch {
    return undefined;
  }
}

/** The newest owner of a run, past or present; undefined when it has had none. */
export async function ownerOf(dir: string): Promise<Owner | undefined> {
  for (let attempt = 0; ; attempt++) {
    const number = Math.max(0, ...numbersIn(await readdir(dir)));
    if (number === 0) return undefined;
    const path = join(dir, nameOf(number));
    try {
      const { size, mtimeMs } = await stat(path);
      const text = size > WRITER_BYTES_MAX ? "" : readWriter(path);
      const info = parseWriter(text);
      return { number, text, info, at: info?.at ?? mtimeMs };
    } catch (error) {
      // Renewed or replaced at this moment (Windows), or cleared away by the next owner.
      if (attempt === 20)
        throw error instanceof CheckpointError
          ? error
          : new CheckpointError(`${path}: cannot be read: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
      await delay(5);
    }
  }
}

/** The right to write one run, held until it is released or taken over. */
export class RunLock {
  #timer: NodeJS.Timeout;
  #lost: string | undefined;
  #released = false;

  private constructor(
    readonly dir: string,
    readonly number: number,
    readonly info: WriterInfo,
    /** The owner before may still live: it was silent, but could not be seen to be gone. */
    readonly tookOver: boolean,
    times: LockTimes,
  ) {
    this.#timer = setInterval(() => this.#beat(), times.heartbeatMs);
    this.#timer.unref();
  }

  /** Takes the run when nobody has it. Throws CheckpointError naming the process that has; waits before a silent one is displaced. */
  static async acquire(
    dir: string,
    { times = lockTimes(), onProgress }: { times?: LockTimes; onProgress?: OnProgress } = {},
  ): Promise<RunLock> {
    for (;;) {
      const before = await ownerOf(dir);
      const tookOver = before !== undefined && (await mustBeGone(dir, before, times, onProgress));
      const number = (before?.number ?? 0) + 1;
      const info: WriterInfo = { ...thisProcess(), token: randomUUID(), at: Date.now(), beats: 0, released: false };
      const path = join(dir, nameOf(number));
      try {
        const handle = await open(path, "wx");
        await handle.writeFile(JSON.stringify(info)).finally(() => handle.close());
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
        throw error;
      }
      const numbers = numbersIn(await readdir(dir));
      if (numbers.some((other) => other > number)) {
        // This process slept while others came and went: its number is an old one.
        await rm(path, { force: true });
        continue;
      }
      for (const other of numbers)
        if (other < number) await rm(join(dir, nameOf(other)), { force: true }).catch(() => {});
      return new RunLock(dir, number, info, tookOver, times);
    }
  }

  /** Throws CheckpointError when the run is no longer this process's to write. Call it before every write. */
  check(): void {
    this.#lost ??= this.#look();
    if (this.#lost !== undefined)
      throw new CheckpointError(`${this.dir}: ${this.#lost}. This process stops here and writes nothing more`);
  }

  #look(attempt = 1): string | undefined {
    try {
      const newest = Math.max(0, ...numbersIn(readdirSync(this.dir)));
      if (newest > this.number) {
        const info = parseWriter(readWriter(join(this.dir, nameOf(newest))));
        return `the run was taken over by ${info ? `process ${info.pid} on ${info.host}` : "another process"} while this one was silent`;
      }
      if (
        newest < this.number ||
        parseWriter(readWriter(join(this.dir, nameOf(this.number))))?.token !== this.info.token
      )
        return `${nameOf(this.number)} is gone or another's: somebody else may write the run`;
      return undefined;
    } catch (error) {
      // This process may have slept between the list and the file, and the file be gone since.
      if (attempt < 3) return this.#look(attempt + 1);
      return `the run's folder cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message}): it was moved or removed`;
    }
  }

  #beat(): void {
    this.#lost ??= this.#look();
    if (this.#lost !== undefined) return clearInterval(this.#timer);
    this.info.at = Date.now();
    this.info.beats++;
    this.#put();
  }

  /** Puts the file anew: whole or not at all. A missed sign of life is no fault. */
  #put(): void {
    const path = join(this.dir, nameOf(this.number));
    const temporary = join(this.dir, `.${nameOf(this.number)}.tmp`);
    try {
      writeFileSync(temporary, JSON.stringify(this.info));
      renameSync(temporary, path);
    } catch {
      rmSync(temporary, { force: true });
    }
  }

  /** Lets go of the run. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    clearInterval(this.#timer);
    this.#lost ??= this.#look();
    if (this.#lost !== undefined) return;
    this.info.released = true;
    this.#put();
  }
}

/** Throws unless the owner is gone. True when that could only be concluded from its silence. */
async function mustBeGone(dir: string, owner: Owner, times: LockTimes, onProgress?: OnProgress): Promise<boolean> {
  const { info } = owner;
  if (info?.released) return false;
  const liveness = info ? livenessOf(info) : "unknown";
  if (liveness === "dead") return false;
  const here = liveness !== "unknown";
  const who = info
    ? `process ${info.pid}${here ? "" : ` on ${info.host}`}`
    : "a process that has not said which (its file is damaged, or just being written)";
  const refuse = (why: string) => new CheckpointError(`${dir}: expected a run that nobody writes, but ${who} ${why}`);
  const silentMs = Date.now() - owner.at;
  const limitMs = here ? times.localSilenceMs : times.silenceMs;
  // Of a process that lives, a sign from the future only says that the clock was set back.
  if (silentMs < limitMs && (here || silentMs > -limitMs)) {
    const kill = `kill -9 ${info?.pid ?? ""}`;
    if (liveness === "stopped")
      throw refuse(`has it and is stopped (Ctrl-Z). Go on with it (fg), or end it (${kill}) and try again`);
    if (here) throw refuse(`writes it. Wait for it, or end it (Ctrl-C there; ${kill} if it is stuck) and try again`);
    throw refuse(
      `wrote it ${duration(Math.max(0, silentMs) / 1000)} ago. If it is gone for good, try again in ${duration((limitMs - silentMs) / 1000)}`,
    );
  }
  const began = performance.now();
  for (;;) {
    const doneMs = performance.now() - began;
    if (doneMs >= times.watchMs) return true;
    onProgress?.({
      label: `is ${who} gone?`,
      done: Math.floor(doneMs / 1000),
      total: Math.ceil(times.watchMs / 1000),
      unit: "s",
    });
    await delay(times.watchMs / 6);
    const now = await ownerOf(dir);
    if (now?.number !== owner.number || now.text !== owner.text)
      throw refuse("still gives signs of life: its clock is not this machine's. End it there, or wait for it");
  }
}
