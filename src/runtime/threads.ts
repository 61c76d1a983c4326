/** The threads that all sessions share, and how many there should be. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { ConfigError } from "../errors.ts";
import { call, callOut, ort, type Pointer } from "./ort.ts";

let wanted: { threads: number; spin: boolean } | undefined;
let cpuMemory: Pointer | undefined;
let environment: { env: Pointer; threads: number; spin: boolean } | undefined;

/** Threads that share the work of one operator; the default is the number of physical cores this process may use. */
export function threads(): number {
  return environment?.threads ?? wanted?.threads ?? defaultThreads();
}

/**
 * Sets the size of the one thread pool that all graphs share. With `spin` (the default) idle threads wait busily for a
 * moment: small graphs are quicker on a machine of their own and slower on a busy one. ConfigError once a graph exists.
 */
export function setThreads(count: number, { spin = true } = {}): void {
  if (!Number.isInteger(count) || count < 1 || count > 1024)
    throw new ConfigError(`threads: expected a whole number from 1 to 1024, got ${count}`);
  if (environment && (environment.threads !== count || environment.spin !== spin))
    throw new ConfigError(
      `threads: the pool already runs with ${environment.threads}${environment.spin ? "" : ", not spinning"}; set ${count} before the first graph`,
    );
  wanted = { threads: count, spin };
}

/**
 * The process's one ONNX Runtime environment, made at first use and never freed: the global thread pool, and one arena
 * of memory for intermediates, so that graphs that run in turn share it instead of holding their peaks side by side.
 */
export function env(): Pointer {
  if (environment) return environment.env;
  const count = threads();
  const spin = wanted?.spin ?? true;
  const options = callOut("CreateThreadingOptions");
  call("SetGlobalIntraOpNumThreads", options, count);
  call("SetGlobalInterOpNumThreads", options, 1);
  call("SetGlobalSpinControl", options, spin ? 1 : 0);
  const FATAL = 4; // every error also comes as a status; the log would only repeat it
  const created = callOut("CreateEnvWithGlobalThreadPools", FATAL, "sumbi", options);
  ort().ReleaseThreadingOptions(options);
  call("DisableTelemetryEvents", created);
  call("CreateAndRegisterAllocator", created, cpuMemoryInfo(), 0n);
  environment = { env: created, threads: count, spin };
  return created;
}

/** OrtMemoryInfo of ordinary memory. */
export function cpuMemoryInfo(): Pointer {
  return (cpuMemory ??= callOut("CreateCpuMemoryInfo", 1, 0)); // OrtArenaAllocator, OrtMemTypeDefault
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
