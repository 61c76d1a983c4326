/** Runs what others wrote in a process of its own, a call at a time: what takes too long or too much memory ends that process alone. */
import { fork } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DataError } from "../../errors.ts";

/** Why a call has no result. */
export type Fault = "threw" | "time" | "memory" | "ended";
export type Outcome<Result> = { result: Result } | { fault: Fault; message: string };

export interface ConfinedOptions {
  /** For messages. */
  name: string;
  /** The program beside this file, without its ending. */
  program: "ownChild" | "codeChild";
  /** Given to the program once, before the first call. */
  setup: unknown;
  /** Resident memory of the process. */
  memoryMiB: number;
  /** What it prints is shown among this program's messages. */
  prints?: boolean;
}

/** What a process is sent, and what it answers. */
export type Sent = { setup: unknown } | { job: unknown };
export type Answered = { done: unknown } | { failed: string };

const SETUP_MILLIS = 60_000;

/** A program that is started when it is first needed, and again after it was ended. One call at a time; others wait their turn. */
export class Confined {
  #child: Promise<Child> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(readonly options: ConfinedOptions) {}

  /** Starts it, and gives back what it says of its setup. Throws DataError when it cannot begin. */
  async begin(): Promise<unknown> {
    return (await this.#ready()).about;
  }

  /** Never throws for what the program does; DataError when it cannot be started at all. */
  call<Result>(job: unknown, millis: number): Promise<Outcome<Result>> {
    const turn = this.#turn.then(async (): Promise<Outcome<Result>> => {
      const child = await this.#ready();
      return (await child.ask({ job }, millis)) as Outcome<Result>;
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const child = await this.#child?.catch(() => undefined);
    await child?.end("ended", "closed");
  }

  #ready(): Promise<Child> {
    if (this.#closed) throw new DataError(`${this.options.name}: closed`);
    return (this.#child ??= this.#start());
  }

  async #start(): Promise<Child> {
    const { name, setup } = this.options;
    const child = new Child(this.options);
    void child.gone.then(() => {
      this.#child = undefined;
    });
    const begun = await child.ask({ setup }, SETUP_MILLIS);
    if ("result" in begun) {
      child.about = begun.result;
      return child;
    }
    await child.end("ended", "");
    throw new DataError(`${name}: ${begun.message}`);
  }
}

class Child {
  readonly gone: Promise<void>;
  about: unknown;
  readonly #process: ReturnType<typeof fork>;
  #settle: ((outcome: Outcome<unknown>) => void) | undefined;
  #reason: { fault: Fault; message: string } | undefined;

  constructor({ program, memoryMiB, prints = false }: ConfinedOptions) {
    // compiled, or TypeScript when this file runs as such (tests, tsx)
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const loader =
      extension === "ts" ? ["--import", pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href] : [];
    this.#process = fork(fileURLToPath(new URL(`./${program}.${extension}`, import.meta.url)), {
      execArgv: [`--max-old-space-size=${memoryMiB}`, ...loader],
      env: { ...process.env, NODE_OPTIONS: undefined, SUMBI_API_KEY: undefined, SUMBI_CONFINED_MIB: `${memoryMiB}` },
      serialization: "advanced",
      // its standard output beside our messages; its standard error has only what V8 says when it runs out of memory
      stdio: ["ignore", prints ? 2 : "ignore", "ignore", "ipc"],
    });
    this.#process.on("message", (answer: Answered) =>
      this.#settle?.("done" in answer ? { result: answer.done } : { fault: "threw", message: answer.failed }),
    );
    this.gone = new Promise((resolve) => {
      const ended = (fault: Fault, message: string): void => {
        this.#settle?.(this.#reason ?? { fault, message });
        resolve();
      };
      this.#process.on("exit", (code, signal) =>
        signal !== null || code === 134
          ? ended("memory", `ended, since it took more than ${memoryMiB} MiB of memory`)
          : ended("ended", `its process ended by itself (exit ${code})`),
      );
      this.#process.on("error", (error) => ended("ended", error.message));
    });
    this.#hold(false);
  }

  ask(message: Sent, millis: number): Promise<Outcome<unknown>> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => void this.end("time", `ended, since it ran longer than ${millis} ms`), millis);
      this.#settle = (outcome) => {
        clearTimeout(timer);
        this.#settle = undefined;
        this.#hold(false);
        resolve(outcome);
      };
      this.#hold(true);
      if (this.#process.connected) this.#process.send(message, () => undefined);
      else this.#settle({ fault: "ended", message: "its process has ended" });
    });
  }

  async end(fault: Fault, message: string): Promise<void> {
    this.#reason ??= { fault, message };
    this.#hold(true);
    this.#process.kill("SIGKILL");
    await this.gone;
  }

  /** Keeps this program alive only while something is asked. */
  #hold(held: boolean): void {
    for (const part of [this.#process, this.#process.channel]) held ? part?.ref() : part?.unref();
  }
}
