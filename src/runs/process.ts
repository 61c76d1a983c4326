/** Which process this is, and whether another one still lives: as far as the operating system tells. */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { isAlive } from "../checkpoint/index.ts";

/** Names a process so that another one can be told from it, also after a restart or under the same number. */
export interface ProcessName {
  host: string;
  /** The boot of the machine and the space of process numbers; empty where it cannot be read. */
  boot: string;
  pid: number;
  /** When the process was started, in the kernel's own count; empty where it cannot be read. */
  started: string;
}

export type Liveness = "alive" | "stopped" | "dead" | "unknown";

function read(path: string, how: (path: string) => string): string {
  try {
    return how(path).trim();
  } catch {
    return "";
  }
}

const text = (path: string) => readFileSync(path, "utf8");

/** Two machines may have one name, and two containers of a machine have numbers of their own. Linux only. */
function bootOf(): string {
  const boot = read("/proc/sys/kernel/random/boot_id", text);
  const space = read("/proc/self/ns/pid", (path) => readlinkSync(path));
  return boot && space && `${boot} ${space}`;
}

/** State letter and start time of a process; undefined where /proc does not tell. */
function statOf(pid: number): { state: string; started: string } | undefined {
  // The second field is the program's name in brackets, which may hold anything.
  const fields = read(`/proc/${pid}/stat`, text).split(")").at(-1)?.trim().split(" ") ?? [];
  const [state] = fields;
  const started = fields[19];
  return state && started ? { state, started } : undefined;
}

export const thisProcess = (): ProcessName => ({
  host: hostname(),
  boot: bootOf(),
  pid: process.pid,
  started: statOf(process.pid)?.started ?? "",
});

/** Whether a process lives. "unknown" for one of another machine, of another boot, or of another container. */
export function livenessOf({ host, boot, pid, started }: ProcessName): Liveness {
  if (host !== hostname() || boot !== bootOf()) return "unknown";
  if (!isAlive(pid)) return "dead";
  const stat = boot === "" ? undefined : statOf(pid);
  if (stat === undefined) return "alive";
  if (stat.state === "Z" || stat.state === "X" || (started !== "" && started !== stat.started)) return "dead";
  return stat.state === "T" || stat.state === "t" ? "stopped" : "alive";
}
