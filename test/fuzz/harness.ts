// Takes many inputs in, in child processes that may fall: what they did wrong, and where the inputs are that made them.
import { type ChildProcess, fork } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { FromChild, ToChild } from "./child.ts";

export interface Job {
  loader: string;
  number: number;
}

export interface FaultReport extends Job {
  what: string;
  /** Folder with the input; only the first few of one kind are kept. */
  kept: string | undefined;
}

export interface Tally {
  loaded: number;
  refused: number;
  faults: FaultReport[];
  /** Processor time of the slowest, and its number. */
  slowestMs: number;
  slowest: number;
  /** Processor time of the slowest valid one, and of all together. */
  validMs: number;
  allMs: number;
  largestBytes: number;
}

export interface FuzzOptions {
  seed: string;
  /** Told of what is done, every few seconds. */
  onProgress?: (text: string) => void;
  processes?: number;
}

/** Processor time that an input may take, so that the machine's other work does not count; and how many times that of a valid one on top, so that its speed does not. */
const CPU_SECONDS = 5;
const TIMES_VALID = 3;
const VALID_SECONDS = 120;
/** An input that waits for something, such as a pipe, is a hang too. */
const WALL_SECONDS = 300;
const PEAK_BYTES = 1e9;
const WATCH_MS = 100;
/** Inputs for one process; memory that the runtime keeps must not add up. */
const JOBS_OF_A_CHILD = 1_000;
const KEPT_OF_A_KIND = 3;

/** By its address: threads of a child that works in another folder start with it too. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What the operating system knows of a process: undefined where it is not Linux. */
function usage(pid: number): { cpuSeconds: number; rssBytes: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\)\s+/s, "")
      .split(" ")
      .map(Number);
    return { cpuSeconds: ((fields[11] ?? 0) + (fields[12] ?? 0)) / 100, rssBytes: (fields[21] ?? 0) * 4096 };
  } catch {
    return undefined;
  }
}

/** A child, or why it fell. */
class Child {
  private readonly process: ChildProcess;
  private said = "";
  private waiting: ((message: FromChild | undefined) => void) | undefined;
  private readonly queue: FromChild[] = [];
  private gone = false;
  jobs = 0;

  constructor() {
    this.process = fork(CHILD, [], {
      cwd: ROOT,
      execArgv: ["--import", TSX, "--expose-gc", "--max-old-space-size=800"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.process.stderr?.on("data", (chunk: Buffer) => (this.said = (this.said + chunk.toString()).slice(-4_000)));
    this.process.on("message", (message: FromChild) => this.give(message));
    this.process.on("exit", () => {
      this.gone = true;
      this.give(undefined);
    });
  }

  private give(message: FromChild | undefined): void {
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting) waiting(message);
    else if (message) this.queue.push(message);
  }

  /** The next message; undefined when the process has ended. */
  next(): Promise<FromChild | undefined> {
    const queued = this.queue.shift();
    if (queued || this.gone) return Promise.resolve(queued);
    return new Promise((resolve) => (this.waiting = resolve));
  }

  send(message: ToChild): void {
    if (!this.gone) this.process.send(message);
  }

  /** Ends it when an input takes too much; says so. */
  watch(cpuSeconds: number): { stop(): void; tooMuch(): string | undefined } {
    const began = Date.now();
    const pid = this.process.pid ?? 0;
    const from = usage(pid)?.cpuSeconds ?? 0;
    let tooMuch: string | undefined;
    const timer = setInterval(() => {
      const now = usage(pid);
      const wall = (Date.now() - began) / 1000;
      if (now && now.cpuSeconds - from > cpuSeconds)
        tooMuch = `hang: over ${Math.round(cpuSeconds)} s of processor time`;
      else if (wall > WALL_SECONDS) tooMuch = `hang: over ${WALL_SECONDS} s`;
      else if (now && now.rssBytes > PEAK_BYTES) tooMuch = `memory: ${Math.round(now.rssBytes / 1e6)} MB`;
      if (tooMuch) this.end();
    }, WATCH_MS);
    return { stop: () => clearInterval(timer), tooMuch: () => tooMuch };
  }

  /** How it ended. */
  get epitaph(): string {
    const { exitCode, signalCode } = this.process;
    return `crash: the process ended with ${signalCode ?? exitCode}${this.said ? `: ${this.said.trim().slice(0, 1_500)}` : ""}`;
  }

  end(): void {
    this.process.kill("SIGKILL");
  }
}

/** The same fault for the same reason: its kind and the first place of ours in its stack. */
const kindOf = (loader: string, what: string): string =>
  `${loader} ${what.split("\n")[0]?.slice(0, 60)} ${/\n\s+at .*?((?:src|node_modules)\/[^)\s]+)/.exec(what)?.[1] ?? ""}`;

/** Runs the jobs and tallies them by loader. Inputs that fail are kept in a folder of their own in the temporary folder, and named. */
export async function fuzz(jobs: readonly Job[], options: FuzzOptions): Promise<Map<string, Tally>> {
  const { seed } = options;
  const work = mkdtempSync(join(tmpdir(), "sumbi-fuzz-"));
  const kept = join(work, "failed");
  const tallies = new Map<string, Tally>();
  const kinds = new Map<string, number>();
  const tallyOf = (name: string): Tally => {
    const tally = tallies.get(name) ?? {
      loaded: 0,
      refused: 0,
      faults: [],
      slowestMs: 0,
      slowest: 0,
      validMs: 0,
      allMs: 0,
      largestBytes: 0,
    };
    tallies.set(name, tally);
    return tally;
  };
  let at = 0;
  let done = 0;
  const began = Date.now();
  let told = began;
  const progress = (): void => {
    done++;
    if (Date.now() - told < 10_000 && done < jobs.length) return;
    told = Date.now();
    const seconds = (told - began) / 1000;
    const faults = [...tallies.values()].reduce((n, tally) => n + tally.faults.length, 0);
    options.onProgress?.(
      `fuzz: ${done} of ${jobs.length} inputs, ${faults} faults, ${duration((seconds / done) * (jobs.length - done))} left`,
    );
  };

  const worker = async (w: number): Promise<void> => {
    const dir = join(work, `in-${w}`);
    let child: Child | undefined;
    for (let i = at++; i < jobs.length; i = at++) {
      const job = jobs[i] as Job;
      if (child && child.jobs >= JOBS_OF_A_CHILD) {
        child.end();
        child = undefined;
      }
      if (!child) {
        child = new Child();
        if ((await child.next())?.type !== "ready") throw new Error(`fuzz: the child did not start: ${child.epitaph}`);
      }
      child.jobs++;
      child.send({ ...job, seed, dir });
      if ((await child.next())?.type !== "begun")
        throw new Error(`fuzz: ${job.loader} ${job.number}: the input could not be made: ${child.epitaph}`);
      const tally = tallyOf(job.loader);
      const watch = child.watch(job.number < 0 ? VALID_SECONDS : CPU_SECONDS + (TIMES_VALID * tally.validMs) / 1000);
      const message = await child.next();
      watch.stop();
      let what: string | undefined;
      if (message?.type === "done") {
        const { outcome, cpuMs, peakBytes } = message;
        tally.allMs += cpuMs;
        if (job.number < 0) tally.validMs = Math.max(tally.validMs, cpuMs);
        if (cpuMs > tally.slowestMs) [tally.slowestMs, tally.slowest] = [cpuMs, job.number];
        tally.largestBytes = Math.max(tally.largestBytes, peakBytes);
        if (outcome.kind === "fault") what = outcome.stack || outcome.message;
        else if (peakBytes > PEAK_BYTES) what = `memory: ${Math.round(peakBytes / 1e6)} MB at most`;
        else tally[outcome.kind]++;
        if (peakBytes > PEAK_BYTES) {
          child.end();
          child = undefined;
        }
      } else {
        what = watch.tooMuch() ?? child.epitaph;
        child = undefined;
      }
      if (what !== undefined) {
        const kind = kindOf(job.loader, what);
        const count = (kinds.get(kind) ?? 0) + 1;
        kinds.set(kind, count);
        const place = join(kept, `${job.loader}-${job.number}`);
        if (count <= KEPT_OF_A_KIND) {
          mkdirSync(kept, { recursive: true });
          cpSync(dir, place, { recursive: true });
          writeFileSync(`${place}.txt`, `npx tsx test/fuzz/child.ts ${job.loader} ${job.number} ${seed}\n\n${what}\n`);
        }
        tally.faults.push({ ...job, what, kept: count <= KEPT_OF_A_KIND ? place : undefined });
      }
      progress();
    }
    child?.end();
  };
  await Promise.all(
    Array.from({ length: options.processes ?? Math.min(4, availableParallelism()) }, (_, w) => worker(w)),
  );
  // What failed stays.
  if (kinds.size === 0) rmSync(work, { recursive: true, force: true });
  return tallies;
}

function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  return minutes < 1 ? `${Math.ceil(seconds)} s` : minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
