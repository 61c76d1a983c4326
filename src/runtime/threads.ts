import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { ConfigError } from "../errors.ts";
import { call, callOut, ort, type Pointer } from "./ort.ts";

let wanted: number | undefined;
let environment: { env: Pointer; threads: number } | undefined;

/** Threads that share the work of one operator; the default is the number of physical cores this process may use. */
export function threads(): number {
  return environment?.threads ?? wanted ?? defaultThreads();
}

/** Sets the size of the one thread pool that all graphs share. ConfigError once a graph has been compiled. */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > 1024)
    throw new ConfigError(`threads: expected a whole number from 1 to 1024, got ${count}`);
  if (environment && environment.threads !== count)
    throw new ConfigError(`threads: the pool already runs with ${environment.threads}; set ${count} before the first graph`);
  wanted = count;
}

/** The process's one ONNX Runtime environment, with the global thread pool; made at first use and never freed. */
export function env(): Pointer {
  if (environment) return environment.env;
  const count = threads();
  const options = callOut("CreateThreadingOptions");
  call("SetGlobalIntraOpNumThreads", options, count);
  call("SetGlobalInterOpNumThreads", options, 1);
  const FATAL = 4; // every error also comes as a status; the log would only repeat it
  const created = callOut("CreateEnvWithGlobalThreadPools", FATAL, "sumbi", options);
  ort().ReleaseThreadingOptions(options);
  call("DisableTelemetryEvents", created);
  environment = { env: created, threads: count };
  return created;
}

function defaultThreads(): number {
  let count = availableParallelism();
  if (read("/sys/devices/system/cpu/smt/active") === "1") count = Math.ceil(count / 2);
  const [quota, period] = (read("/sys/fs/cgroup/cpu.max") ?? "max").split(" ").map(Number);
  if (quota! > 0 && period! > 0) count = Math.min(count, Math.max(1, Math.floor(quota! / period!)));
  return count;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
