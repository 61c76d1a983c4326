/** Names of temporary files and folders, and the removal of those whose process is gone. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** Temporary names in use by this process, which must not be taken for leftovers. */
const inUse = new Set<string>();

/** What a system file says, or nothing where there is no such file. */
function said(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return "";
  }
}

/**
 * Where a process number means something: this machine and, on Linux, this PID namespace. Containers that share a folder, and machines
 * that share a name, have numbers of their own.
 */
export const here = createHash("sha256")
  .update(
    [
      hostname(),
      said(() => readFileSync("/etc/machine-id", "utf8")),
      said(() => readlinkSync("/proc/self/ns/pid")),
    ].join("\0"),
  )
  .digest("hex")
  .slice(0, 8);

/** `.sumbi-tmp-<where>-<pid>-<random>`. */
const TEMPORARY = /^\.sumbi-tmp-([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{8}$/;
/** The same before there was a `<where>`: `.model.sumbi-tmp-<pid>-<random>`, and `.data-<hash>.tmp-<pid>` of data sets. */
const FORMER = /^\..+\.sumbi-tmp-(\d{1,10})-[0-9a-f]{8}$/;
const FORMER_DATA = /^\.(.+)\.tmp-(\d{1,10})(?:-old)?$/;

/** A name of this process for something unfinished in a folder. Call `release` when it has been renamed or removed. */
export function temporaryIn(folder: string): string {
  const path = join(folder, `.sumbi-tmp-${here}-${process.pid}-${randomBytes(4).toString("hex")}`);
  inUse.add(path);
  return path;
}

export function release(path: string): void {
  inUse.delete(path);
}

/** Whether a name is that of something unfinished, of whichever process. */
export const isTemporary = (name: string): boolean => TEMPORARY.test(name);

/** Whether a process with this id exists on this machine. */
export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether what has this path was left by a process that is gone. Of other machines nobody here can say: no. */
function isLeftover(path: string, name: string, data: (of: string) => boolean): boolean {
  const [, where, digits] = TEMPORARY.exec(name) ?? [];
  const [, former] = FORMER.exec(name) ?? [];
  const [, of = "", formerData] = FORMER_DATA.exec(name) ?? [];
  const pid = Number(where === here ? digits : (former ?? (data(of) ? formerData : undefined)));
  if (!Number.isSafeInteger(pid)) return false;
  return pid === process.pid ? !inUse.has(path) : !isAlive(pid);
}

/**
 * Removes what dead processes of this machine left unfinished in a folder: only things of our own temporary names, never a living
 * process's, never another machine's. A folder that is missing or closed to us has nothing to remove. `dataset` is the name of one
 * that is kept in the folder.
 */
export async function removeLeftovers(folder: string, dataset?: string): Promise<void> {
  const data = (of: string) => of === dataset || /^data-[0-9a-f]{16}$/.test(of);
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    const path = join(folder, name);
    if (isLeftover(path, name, data)) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}
